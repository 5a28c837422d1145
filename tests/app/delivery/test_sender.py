"""What the sender makes of a deliverer's answers: again, in order, given up; and nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.delivery.errors import DeliveryFailed, DeliveryRefused
from app.delivery.sender import FOR_DAYS, HOUR, Schedule, Sender
from app.jobs.model import Job, JobState
from app.jobs.store.dead_letters import DeadLetters
from tests.app.jobs.small_work import Desk
from tests.serving import until

QUICK = Schedule(first=0.001, longest=0.002)


class Post:
    """Raises what is in `failures`, one a try, then takes everything; or holds every try until `release`."""

    name = "post"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.refuse: set[str] = set()
        """Jobs of these users fail."""
        self.release = threading.Event()
        self.release.set()
        self.tried: list[tuple[str, str, str]] = []
        """User, state and message id of each try."""
        self.taken: list[tuple[str, str]] = []
        self.broken = False
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def wants(self, job: Job) -> bool:
        if self.broken:
            raise LookupError(job.id)
        return True

    def order_key(self, job: Job) -> str:
        return job.user

    def deliver(self, job: Job, message_id: str) -> None:
        with self._lock:
            self.tried.append((job.user, job.state.value, message_id))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self.release.wait(20)
            if job.user in self.refuse:
                raise DeliveryFailed("not now")
            if self.failures:
                raise self.failures.pop(0)
            self.taken.append((job.user, job.state.value))
        finally:
            with self._lock:
                self.at_once -= 1


@contextmanager
def sending(desk: Desk, post: Post, schedule: Schedule = QUICK) -> Iterator[Sender]:
    sender = Sender(post, desk.queue.outbox, schedule=schedule, chance=lambda: 1.0, look_seconds=0.2)
    sender.start()
    try:
        yield sender
    finally:
        post.release.set()
        sender.close(10)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def desk(tmp_path: Path, post: Post) -> Iterator[Desk]:
    desk = Desk(tmp_path, deliverers=(post,))
    desk.kind.release.set()
    yield desk
    desk.stop()


def waiting(desk: Desk) -> int:
    (backlog,) = desk.queue.outbox.backlogs()
    return backlog.waiting


ALL = ["queued", "running", "succeeded"]


def test_everything_arrives_in_order_whatever_fails_in_between(desk: Desk, post: Post) -> None:
    post.failures = [DeliveryFailed("no"), KeyError("a bug"), DeliveryFailed("no", 0.01), DeliveryFailed("no")] * 3
    with sending(desk, post):
        jobs = [desk.submit(user=f"user {number}") for number in range(8)]
        for job in jobs:
            desk.end(job)
        until(lambda: not waiting(desk))
    for job in jobs:
        assert [state for user, state in post.taken if user == job.user] == ALL
    assert len(post.tried) == 8 * 3 + 12
    # A try that is repeated has the id of the first, and no two messages share one.
    assert len({message_id for _, _, message_id in post.tried}) == 8 * 3
    assert post.most_at_once <= 4


def test_a_later_one_waits_for_an_earlier_one_of_its_key_alone(desk: Desk, post: Post) -> None:
    post.refuse = {"stuck"}
    with sending(desk, post):
        desk.end(desk.submit(user="stuck"))
        desk.end(desk.submit(user="stuck"))
        desk.end(desk.submit(user="fine"))
        until(lambda: len(post.taken) == 3)
        until(lambda: waiting(desk) == 6 and len(post.tried) > 20)
        assert {(user, state) for user, state, _ in post.tried if user == "stuck"} == {("stuck", "queued")}
        assert post.taken == [("fine", state) for state in ALL]
        (backlog,) = desk.queue.outbox.backlogs()
        assert (backlog.waiting, backlog.dead, backlog.problem) == (6, 0, "not now")
        post.refuse = set()
        until(lambda: not waiting(desk))
    assert post.taken[3:] == [("stuck", state) for state in ALL + ALL]
    assert desk.queue.outbox.backlogs()[0].problem == ""


def test_a_receiver_that_hangs_holds_up_only_its_own(desk: Desk, post: Post) -> None:
    post.release.clear()
    with sending(desk, post):
        desk.end(desk.submit(user="slow"))
        until(lambda: len(post.tried) == 1)
        desk.end(desk.submit(user="other"))
        # Of the slow one nothing more is tried meanwhile.
        until(lambda: [user for user, _, _ in post.tried] == ["slow", "other"])


def test_what_is_refused_is_given_up_at_once_and_those_behind_it_go_on(desk: Desk, post: Post) -> None:
    post.failures = [DeliveryRefused("never")]
    with sending(desk, post):
        desk.end(desk.submit(user="ann"))
        until(lambda: not waiting(desk))
        letters = DeadLetters(desk.database)
        (letter,) = letters.list()
        assert (letter.state, letter.tries, letter.problem) == ("queued", 1, "never")
        assert post.taken == [("ann", "running"), ("ann", "succeeded")]
        assert letters.resend(letter.id + 1, 0) == 0
        # As from another process: nobody wakes the sender.
        assert letters.resend(letter.id, 0) == 1
        until(lambda: len(post.taken) == 3)
    assert post.tried[0] == post.tried[-1]


def test_after_days_of_tries_it_is_given_up(tmp_path: Path, post: Post) -> None:
    clock = [1000.0]
    desk = Desk(tmp_path, deliverers=(post,), now=lambda: clock[0], work=False)
    post.refuse = {"ann"}
    job = desk.submit(user="ann")
    pauses = []
    with sending(desk, post, FOR_DAYS):
        for tries in range(1, 100):
            until(lambda tries=tries: len(post.tried) == tries and not post.at_once)  # type: ignore[misc]
            until(lambda: not desk.queue.outbox.due("post", 1))
            due = desk.queue.outbox.next_due("post")
            if due is None:
                break
            pauses.append(due - clock[0])
            clock[0] = due
            desk.queue.outbox.wake()
    assert pauses[:4] == [5, 10, 20, 40]
    assert max(pauses) == 6 * HOUR
    assert 72 * HOUR <= sum(pauses) <= 80 * HOUR
    (letter,) = DeadLetters(desk.database).list()
    assert letter.problem == f"given up after {len(pauses) + 1} tries: not now"
    # It goes with its job, in the end.
    clock[0] += 1000 * HOUR
    desk.worker.start()
    desk.kind.release.set()
    desk.end(job)
    post.refuse = set()
    with sending(desk, post):
        until(lambda: not waiting(desk))
    assert desk.queue.library.prune(-1) == 1
    assert DeadLetters(desk.database).list() == []
    desk.stop()


def test_pauses_are_spread_and_a_receivers_wish_is_kept() -> None:
    assert FOR_DAYS.next_pause(4, 0, None, 0.25) == 10
    assert FOR_DAYS.next_pause(1, 0, 120, 0.5) == 120
    assert FOR_DAYS.next_pause(1, 0, 1e9, 0.5) == 24 * HOUR
    # After days off, something is still tried.
    assert FOR_DAYS.next_pause(1, 1000 * HOUR, None, 1.0) == 5
    assert FOR_DAYS.next_pause(12, 73 * HOUR, None, 1.0) is None
    assert FOR_DAYS.next_pause(5000, 71 * HOUR, None, 1.0) == 6 * HOUR


def test_a_crash_at_any_moment_loses_nothing(tmp_path: Path, post: Post) -> None:
    post.release.clear()
    desk = Desk(tmp_path, deliverers=(post,))
    desk.kind.release.set()
    with sending(desk, post):
        job = desk.end(desk.submit(user="ann"))
        until(lambda: len(post.tried) == 1)
        desk.crash()
        # It arrives, and nobody can note that any more.
    assert post.taken == [("ann", "queued")]
    again = Desk(tmp_path, deliverers=(post,))
    with sending(again, post):
        until(lambda: not waiting(again))
    assert post.taken == [("ann", "queued"), ("ann", "queued"), ("ann", "running"), ("ann", "succeeded")]
    assert post.tried[0] == post.tried[1]
    assert again.get(job).state is JobState.SUCCEEDED
    again.stop()


def test_what_a_deliverer_could_not_judge_is_asked_again(desk: Desk, post: Post) -> None:
    post.broken = True
    desk.end(desk.submit(user="ann"))
    with sending(desk, post):
        until(lambda: "LookupError" in desk.queue.outbox.backlogs()[0].problem)
        assert post.tried == []
        post.broken = False
        until(lambda: not waiting(desk))
    assert post.taken == [("ann", state) for state in ALL]


def test_a_stop_waits_for_nobody_who_hangs(desk: Desk, post: Post) -> None:
    post.release.clear()
    sender = Sender(post, desk.queue.outbox)
    sender.start()
    desk.end(desk.submit(user="ann"))
    until(lambda: post.tried)
    sender.close(0.05)
    assert waiting(desk) == 3
    post.release.set()
    sender.close(10)
    # What arrived after all was noted, and nothing new begun.
    assert len(post.tried) == 1
    assert waiting(desk) == 2
