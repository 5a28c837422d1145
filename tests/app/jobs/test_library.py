"""What was made, as it is listed, searched, marked and deleted: the store and the queue over a small kind of work."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.jobs.errors import JobNotFound, JobUnfinished, NothingMade, Undelivered
from app.jobs.model import Edit, Job, Listing
from app.jobs.store.library import Search
from engines.errors import InvalidRequest, OutOfMemory
from engines.results import Result
from tests.app.jobs.small_work import Asked, Desk, Done, HeldKind, Task, wait_for
from tests.app.jobs.test_outbox import Post
from tests.serving import until


class Card(Result):
    """What was said."""

    said: str


class ListedKind(HeldKind):
    """Its words are what was said and, after a bar, a preset and a model."""

    name: ClassVar[str] = "held"
    card_type = Card

    def listing(self, request: Asked, work: Task, result: Done, edit: Edit) -> Listing:
        words, _, rest = (edit.content or request.say).partition("|")
        preset, _, model = rest.partition("|")
        return Listing(words, preset, model, Card(said=words))


def opened(folder: Path, **options: Any) -> Desk:
    desk = Desk(folder, kinds=(ListedKind(), ListedKind("other")), width=2, **options)
    desk.kind.release.set()
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = opened(tmp_path)
    for kind in desk.kinds:
        kind.release.set()
    yield desk
    desk.stop()


def made(desk: Desk, *said: str, account: str = "ann", kind: str = "held") -> list[Job]:
    jobs = [desk.submit(one, account=account, kind=kind) for one in said]
    return [desk.end(job) for job in jobs]


def found(desk: Desk, words: str = "", account: str = "ann", **more: Any) -> list[str]:
    page = wait_for(desk.queue.library.search(account, Search(words=words, **more)))
    return [one.card.said for one in page.made if isinstance(one.card, Card)]


def test_the_newest_is_first_and_only_what_has_a_result_is_there(desk: Desk) -> None:
    made(desk, "first", "second")
    desk.kind.fail_with = OutOfMemory("The memory did not suffice.")
    made(desk, "failed")
    assert found(desk) == ["second", "first"]


TEXTS = (
    "a red fox in the snow",
    "Ein Mädchen mit Hündchen in Zürich",
    "東京の夜景とラーメン",
    "我们在北京吃饭",
    "서울에서 만나요",
    "ดอกไม้สีแดง",
    "My_talk-2024.final (1).wav",
    'the "quoted" AND NEAR words',
)


@pytest.mark.parametrize(
    ("typed", "hits"),
    [
        ("fox", [0]),
        ("FOX snow", [0]),
        ("snow fox", [0]),
        ("fox rain", []),
        ("re", [0]),  # the last word is still being typed
        ("re fox", []),  # and the others are not
        ("madchen", [1]),
        ("MÄDCHEN zurich", [1]),
        ("夜景", [2]),
        ("夜", [2]),
        ("ﾗｰﾒﾝ", [2]),
        ("景夜", []),
        ("北京", [3]),
        ("京", [2, 3]),
        ("서울", [4]),
        ("울에", [4]),
        ("ดอกไม้", [5]),
        ("talk 2024", [6]),
        ("talk-2024.fi", [6]),
        ('"quoted', [7]),
        ('"', []),
        ("AND", [7]),
        ("NEAR words", [7]),
        ("fox* OR snow", []),
        ("words:fox", []),
        ("(fox", [0]),
        ("fox -snow", [0]),
        ("^fox", [0]),
        ("*** fox ***", [0]),
        ("***", []),
        ("🦊", []),
        ("\0fox", [0]),
    ],
)
def test_words_are_found_whatever_is_typed(library: Desk, typed: str, hits: list[int]) -> None:
    assert sorted(map(TEXTS.index, found(library, typed))) == hits


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = opened(tmp_path_factory.mktemp("library"))
    made(desk, *TEXTS)
    yield desk
    desk.stop()


def test_filters_narrow_a_search(desk: Desk) -> None:
    made(desk, "a fox|snow|sdxl", "a cat|snow|sketch", "a dog|rain|sdxl")
    [marked] = made(desk, "a fox|rain|sketch", kind="other")
    desk.queue.library.mark(marked, favourite=True)
    assert found(desk, preset="snow") == ["a cat", "a fox"]
    assert found(desk, model="sdxl") == ["a dog", "a fox"]
    assert found(desk, "fox", preset="snow", model="sdxl", kinds=("held",)) == ["a fox"]
    assert found(desk, kinds=("other", "held"), limit=2) == ["a fox", "a dog"]
    assert found(desk, favourite=True) == ["a fox"]
    choices = wait_for(desk.queue.library.choices("ann"))
    assert (choices.presets, choices.models) == (("rain", "snow"), ("sdxl", "sketch"))
    desk.queue.library.mark(marked, favourite=False)
    assert found(desk, favourite=True) == []


def test_pages_have_nothing_twice_and_miss_nothing_while_more_is_made(desk: Desk) -> None:
    for words in ("", "fox"):
        said = [f"fox {number}{words}" for number in range(7)]
        made(desk, *said)
        pages: list[str] = []
        before = None
        while True:
            page = wait_for(desk.queue.library.search("ann", Search(words=words, before=before, limit=3)))
            pages += [one.card.said for one in page.made if isinstance(one.card, Card)]
            made(desk, f"a later fox {len(pages)}{words}")
            if not page.more:
                break
            before = page.made[-1].job_id
        assert [one for one in pages if one in said] == said[::-1]
        assert len(pages) == len(set(pages))


def test_what_is_deleted_is_gone_and_the_rest_stays(desk: Desk, tmp_path: Path) -> None:
    canary, kept = made(desk, "canary alpha", "alpha")
    same = desk.end(desk.submit("alpha"))
    desk.queue.library.delete(kept.id, "ann")
    assert found(desk, "alpha") == ["alpha", "canary alpha"]
    assert desk.files.path(same.files[0].sha256).exists(), "another job has the same content"
    told: list[str] = []
    desk.queue.library.on_deleted(told.append)
    desk.queue.library.delete(canary.id, "ann")
    assert told == [canary.id]
    desk.queue.library.delete(same.id, "ann")
    assert not desk.files.any()
    assert found(desk) == found(desk, "alpha") == []
    for job in (canary, kept):
        with pytest.raises(JobNotFound):
            desk.get(job)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        for table in ("jobs", "files", "events", "library", "library_words"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_no_word_of_what_was_deleted_stays_in_the_database(tmp_path: Path) -> None:
    desk = opened(tmp_path)
    made(desk, *(f"walk {number}" for number in range(20)))
    [canary] = made(desk, "canarybird")
    made(desk, *(f"talk {number}" for number in range(20)))
    desk.queue.library.delete(canary.id, "ann")
    for _ in range(20):
        desk.queue.look_after()
    desk.stop()
    assert b"canary" not in b"".join(path.read_bytes() for path in tmp_path.glob("jobs.db*"))
    again = opened(tmp_path, work=False)
    assert found(again, "walk 7") == ["walk 7"]
    again.stop()


def test_what_waits_or_runs_cannot_be_deleted_and_what_has_no_result_cannot_be_marked(desk: Desk) -> None:
    desk.kind.release.clear()
    running = desk.submit("x")
    until(lambda: desk.kind.running)
    with pytest.raises(JobUnfinished, match=r"is running.*Cancel it first"):
        desk.queue.library.delete(running.id, "ann")
    with pytest.raises(NothingMade, match="running"):
        desk.queue.library.mark(desk.get(running), favourite=True)
    wait_for(desk.queue.cancel(running.id, "ann"))
    desk.end(running)
    desk.queue.library.delete(running.id, "ann")
    with pytest.raises(JobNotFound):
        desk.get(running)


def test_what_somebody_is_still_to_be_told_of_is_deleted_after_that(tmp_path: Path) -> None:
    desk = opened(tmp_path, deliverers=(Post(),))
    [job] = made(desk, "x")
    with pytest.raises(Undelivered):
        desk.queue.library.delete(job.id, "ann")
    [entry] = desk.queue.outbox.due("post", 10)
    desk.queue.outbox.bury(entry, "It does not answer.")
    desk.queue.library.delete(job.id, "ann")
    assert found(desk) == []
    desk.stop()


def test_nothing_of_another_account_is_found_marked_or_deleted(desk: Desk) -> None:
    [own], [other] = made(desk, "my fox|a"), made(desk, "your fox|b", account="bob")
    assert found(desk, "fox") == found(desk) == ["my fox"]
    assert wait_for(desk.queue.library.choices("ann")).presets == ("a",)
    with pytest.raises(JobNotFound):
        desk.queue.library.delete(other.id, "ann")
    with pytest.raises(InvalidRequest, match=r"before is .* no job of yours"):
        found(desk, before=other.id)
    assert found(desk, account="bob", before=other.id) == []
    assert desk.get(own, "ann").id == own.id


def test_an_account_keeps_its_list_under_a_new_name(tmp_path: Path) -> None:
    desk = opened(tmp_path)
    [job] = made(desk, "a fox")
    desk.queue.library.mark(job, favourite=True)
    desk.stop()
    again = opened(tmp_path, work=False, renamed={"ann": "anna"})
    assert found(again, "fox", "anna", favourite=True) == ["a fox"]
    assert found(again, account="ann") == []
    again.stop()


def test_an_edit_is_what_is_found(desk: Desk) -> None:
    [job] = made(desk, "a fax")
    desk.queue.library.mark(job, favourite=True)
    desk.queue.library.save_edit(job, "a fox", None)
    assert (found(desk, "fox"), found(desk, "fax")) == (["a fox"], [])
    desk.queue.library.save_edit(job, None, None)
    assert (found(desk, "fox", favourite=True), found(desk, "fax", favourite=True)) == ([], ["a fax"])


def test_old_jobs_leave_the_list_with_their_time(tmp_path: Path) -> None:
    desk = opened(tmp_path)
    made(desk, "a fox", "a cat")
    assert desk.queue.library.prune(-1) == 2
    assert found(desk) == found(desk, "fox") == []
    desk.stop()
