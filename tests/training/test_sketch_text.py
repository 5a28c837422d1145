"""The tokenizer and the weighting of words, without any trained weight."""

import random
from pathlib import Path

import pytest
import torch

from training.sketch import conditioning, harden, lexicon, text, tokenizer
from training.sketch.attributes import Scene, sample_avatar
from training.sketch.captions import caption, vocabulary


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tokenizer.WordTokens:
    return tokenizer.WordTokens(tokenizer.make_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def test_every_known_word_is_one_token(tokens: tokenizer.WordTokens) -> None:
    words = {piece for line in vocabulary() for piece in tokenizer.PIECES.findall(line)}
    assert [word for word in words if len(tokens(word)) != 1] == []


def test_any_text_has_tokens(tokens: tokenizer.WordTokens) -> None:
    assert len(tokens("Zürich ☕ 日本 xylophone")) > 4


def test_word_by_word_is_what_the_pipeline_does(tmp_path: Path) -> None:
    whole = tokenizer.make_tokenizer(tmp_path)
    fast, rng = tokenizer.WordTokens(whole), random.Random(1)
    for _ in range(100):
        line = caption(sample_avatar(rng), rng).text
        assert fast(line) == whole(line, add_special_tokens=False).input_ids


def test_weights_move_tokens_away_from_the_empty_prompt(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = tokenizer.make_tokenizer(tmp_path)
    fast = tokenizer.WordTokens(whole)
    first, second = text.make_encoders(whole)
    condition = conditioning.Conditioner(first.eval(), second.eval(), fast)
    ids = text.pad(fast("red hair"), fast)
    plain, heavy = [1.0] * 77, [1.0, 2.0, *[1.0] * 75]
    prompts = [
        conditioning.Prompt(ids, plain),
        conditioning.Prompt(ids, heavy),
        conditioning.Prompt(ids, plain, zero=True),
    ]
    empty = condition([conditioning.Prompt(text.pad([], fast), plain)])[0][0]
    states, pooled = condition(prompts)
    torch.testing.assert_close(states[1, 1] - empty[1], 2 * (states[0, 1] - empty[1]), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(states[1, 2:], states[0, 2:])
    assert not states[2].any()
    assert not pooled[2].any()


def test_contested_prompts_weigh_the_truth_more(tokens: tokenizer.WordTokens) -> None:
    rng, words, seen = random.Random(3), lexicon.strangers(), 0
    for _ in range(300):
        made = conditioning.prompt(sample_avatar(rng), rng, tokens, words)
        assert len(made.ids) == len(made.weights)
        assert len(made.ids) in (77, 154, 231)
        seen += max(made.weights) > 1.15
    assert seen > 10


def test_a_noisy_caption_keeps_its_known_words(tokens: tokenizer.WordTokens) -> None:
    rng, words = random.Random(4), lexicon.strangers()
    for _ in range(100):
        clean, noisy, places = harden.pair(rng, tokens, words)
        assert len(clean) == len(noisy) == len(places) == 77
        known = [(noisy[i], clean[place]) for i, place in enumerate(places) if place >= 0]
        assert all(a == b for a, b in known)
        assert [b for _, b in known[: clean.index(tokens.end) + 1]] == clean[: clean.index(tokens.end) + 1]


def test_a_long_prompt_is_cut_into_chunks_and_a_short_one_lengthened(tokens: tokenizer.WordTokens) -> None:
    torch.manual_seed(0)
    first, second = text.make_encoders(tokens._tokenizer)
    condition = conditioning.Conditioner(first.eval(), second.eval(), tokens)
    rng, words = random.Random(6), lexicon.strangers()
    made = [conditioning.prompt(sample_avatar(rng), rng, tokens, words) for _ in range(300)]
    short = next(prompt for prompt in made if len(prompt.ids) == 77 and not prompt.zero)
    long = next(prompt for prompt in made if len(prompt.ids) == 154)
    states, pooled = condition([long, short])
    alone = condition([short])
    empty = condition([conditioning.Prompt(text.pad([], tokens), [1.0] * 77)])[0][0]
    assert states.shape == (2, 154, text.TEXT_WIDTH)
    torch.testing.assert_close(states[1], torch.cat([alone[0][0], empty]), rtol=0.02, atol=0.02)
    second_half = conditioning.Prompt(long.ids[77:], long.weights[77:])
    torch.testing.assert_close(states[0, 77:], condition([second_half])[0][0], rtol=0.02, atol=0.02)
    first_half = conditioning.Prompt(long.ids[:77], long.weights[:77])
    torch.testing.assert_close(pooled[0], condition([first_half])[1][0], rtol=0.02, atol=0.02)


def test_what_is_said_of_faces_means_nothing_beside_a_place() -> None:
    words = lexicon.strangers()
    assert {"calm", "minimalist", "sky"} <= set(words.beside(Scene("sea", "day", "none")))
    assert not {"calm", "minimalist", "beach", "night"} & set(words.beside(sample_avatar(random.Random(1))))
