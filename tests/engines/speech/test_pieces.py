"""Where a long recording is cut, and that nothing of it is lost."""

from __future__ import annotations

import random
from array import array

import pytest

from engines.speech.pieces import ALONE, FRAME, SAMPLE_RATE, USUAL, Lengths, Piece, cut

BLOCK = 6400


def sound(*parts: tuple[float, int]) -> bytes:
    """Noise: (seconds, loudest sample) after one another."""
    source = random.Random(1)
    samples = array("h")
    for seconds, loudest in parts:
        few = [source.randint(-loudest, loudest) for _ in range(SAMPLE_RATE)]
        samples.extend((few * (int(seconds) + 1))[: int(seconds * SAMPLE_RATE)])
    return samples.tobytes()


def pieces(data: bytes, whole: float | None = None, recognisers: int = 0, lengths: Lengths = USUAL) -> list[Piece]:
    blocks = (data[at : at + BLOCK] for at in range(0, len(data), BLOCK))
    return list(cut(blocks, lengths, lambda: whole, recognisers))


def test_no_sample_is_lost_and_every_cut_is_on_the_grid() -> None:
    data = sound(*[(7.3, 8000), (0.6, 20)] * 20, (3.3333, 500))
    found = pieces(data)
    assert b"".join(piece.sound for piece in found) == data
    at = 0
    for piece in found:
        assert piece.start == at
        assert piece.start % FRAME == 0
        at += len(piece.sound) // 2
    assert all(USUAL.shortest <= piece.seconds <= USUAL.aimed for piece in found[:-1])


@pytest.mark.parametrize(("loud", "background"), [(8000, 0), (8000, 20), (8000, 1500), (300, 60)])
def test_cuts_lie_in_the_pauses_with_silence_on_both_sides(loud: int, background: int) -> None:
    found = pieces(sound(*[(9.0, loud), (0.6, background)] * 12))
    assert len(found) > 2
    for piece in found[1:]:
        # A pause begins 9 s after each turn of 9.6 s: the cut is at least 0.15 s away from its ends.
        into = piece.start / SAMPLE_RATE % 9.6 - 9.0
        assert 0.15 <= into <= 0.45


def test_pieces_get_shorter_toward_the_end_so_that_all_recognisers_end_together() -> None:
    data = sound(*[(3.3, 8000), (0.7, 20)] * 75)
    found = pieces(data, 300.0, 2)
    assert b"".join(piece.sound for piece in found) == data
    assert found[0].seconds > 1.5 * found[-1].seconds
    assert all(USUAL.shortest / 2 <= piece.seconds for piece in found[:-1])
    totals = [0.0, 0.0]
    for piece in found:
        totals[totals.index(min(totals))] += piece.seconds
    assert max(totals) < 1.05 * 150


def test_pieces_are_long_where_much_is_left() -> None:
    data = sound(*[(3.3, 8000), (0.7, 20)] * 175)
    found = pieces(data, 700.0, 2)
    assert b"".join(piece.sound for piece in found) == data
    # The best pause in the last 20 s.
    assert 140 <= found[0].seconds <= 160
    assert found[-1].seconds < 60
    totals = [0.0, 0.0]
    for piece in found:
        totals[totals.index(min(totals))] += piece.seconds
    assert max(totals) < 1.05 * 350


@pytest.mark.parametrize("told", [None, 1.0, 55.0, 100_000.0])
def test_a_header_that_lies_about_the_length_costs_nothing(told: float | None) -> None:
    data = sound(*[(3.3, 8000), (0.7, 20)] * 30)
    found = pieces(data, told, 2)
    assert b"".join(piece.sound for piece in found) == data
    assert all(USUAL.shortest / 2 <= piece.seconds <= USUAL.longest for piece in found[:-1])


def test_a_short_recording_stays_whole_however_many_could_share_it() -> None:
    assert len(pieces(sound(*[(3.3, 8000), (0.7, 20)] * 9), 36.0, 8)) == 1


def test_a_longer_pause_is_preferred() -> None:
    found = pieces(sound((22, 8000), (0.6, 20), (6, 8000), (1.5, 20), (30, 8000)))
    assert 28.6 < found[0].seconds < 30.1


def test_sound_without_a_pause_is_cut_at_its_quietest_before_it_grows_too_long() -> None:
    found = pieces(sound((44.0, 8000), (0.5, 5000), (100.0, 8000)))
    assert 44.0 < found[0].seconds < 44.5
    assert all(piece.seconds <= USUAL.longest for piece in found)


def test_a_piece_that_is_cut_again_stays_whole() -> None:
    for piece in pieces(sound((44.0, 8000), (0.5, 5000), (60.0, 8000), *[(9.0, 8000), (0.6, 20)] * 8)):
        assert len(pieces(piece.sound)) == 1


def test_a_piece_that_is_heard_alone_has_what_is_before_it_as_its_lead() -> None:
    data = sound(*[(7.3, 8000), (0.6, 20)] * 20, (3.3333, 500))
    found = pieces(data, lengths=ALONE)
    assert b"".join(piece.sound for piece in found) == data
    assert found[0].lead == b""
    for piece in found[1:]:
        lead = len(piece.lead) // 2
        assert lead == pytest.approx(ALONE.lead * SAMPLE_RATE, abs=FRAME)
        assert lead % FRAME == 0
        assert data[(piece.start - lead) * 2 : piece.start * 2] == piece.lead
        # A service that cuts what it is sent leaves it whole.
        assert len(pieces(piece.lead + piece.sound)) == 1


def test_a_lead_is_no_longer_than_what_is_before_it() -> None:
    lengths = Lengths(shortest=2.0, aimed=4.0, longest=6.0, lead=100.0)
    found = pieces(sound(*[(0.6, 8000), (0.4, 20)] * 15), lengths=lengths)
    assert len(found) > 3
    assert [len(piece.lead) // 2 for piece in found] == [piece.start for piece in found]


def test_little_sound_is_one_piece() -> None:
    assert [piece.seconds for piece in pieces(sound((USUAL.aimed - 0.1, 800)))] == [pytest.approx(USUAL.aimed - 0.1)]
    assert [piece.sound for piece in pieces(b"")] == [b""]
    assert [piece.sound for piece in pieces(b"\1\0\2\0")] == [b"\1\0\2\0"]
