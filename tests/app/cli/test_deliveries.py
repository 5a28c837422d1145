"""`launch.py deliveries`: what was given up is listed and sent again, beside a running studio and without one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.deliveries import main
from app.delivery.errors import DeliveryRefused
from app.delivery.sender import Sender
from app.jobs.model import Job, Webhook
from tests.app.jobs.small_work import Desk
from tests.serving import until


class Refused:
    """A deliverer that refuses until told otherwise."""

    name = "webhook"

    def __init__(self) -> None:
        self.refuse = True
        self.taken: list[str] = []

    def wants(self, job: Job) -> bool:
        return job.final

    def order_key(self, job: Job) -> str:
        return job.id

    def deliver(self, job: Job, message_id: str) -> None:
        if self.refuse:
            raise DeliveryRefused("the address answered 410 Gone")
        self.taken.append(job.id)


def test_what_died_is_listed_and_sent_again_beside_a_running_studio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Refused()
    desk = Desk(tmp_path, deliverers=(refused,))
    desk.kind.release.set()
    sender = Sender(refused, desk.queue.outbox, look_seconds=0.2)
    sender.start()
    hook = Webhook("https://app.example.com/secret-path?key=secret", ("completed",), "http://x/")
    jobs = [desk.end(desk.submit(webhook=hook)) for _ in range(3)]
    until(lambda: desk.queue.outbox.backlogs()[0].dead == 3)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db, db:
        db.execute("INSERT INTO gone_webhooks VALUES ('ann', ?, 1), ('bob', ?, 1)", (hook.address, hook.address))
    assert main(["list"], tmp_path) == 0
    said = capsys.readouterr().out
    assert "webhook: 0 waiting, 3 given up; last problem: the address answered 410 Gone" in said
    for job in jobs:
        assert f"to https://app.example.com: held job {job.id} of ann, succeeded, 1 tries" in said
    assert "secret" not in said
    number = next(line.split()[0] for line in said.splitlines() if jobs[1].id in line)
    refused.refuse = False
    assert main(["resend", number], tmp_path) == 0
    assert capsys.readouterr().out.startswith("1 to be sent again")
    until(lambda: refused.taken == [jobs[1].id])
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        assert db.execute("SELECT account FROM gone_webhooks").fetchall() == [("bob",)]
    assert main(["resend", number], tmp_path) == 2
    assert "launch.py deliveries" in capsys.readouterr().err
    sender.close(10)
    desk.stop()

    # With no studio there: it is sent after the next start.
    assert main(["resend", "all"], tmp_path) == 0
    assert capsys.readouterr().out.startswith("2 to be sent again")
    desk = Desk(tmp_path, deliverers=(refused,))
    sender = Sender(refused, desk.queue.outbox, look_seconds=0.2)
    sender.start()
    until(lambda: sorted(refused.taken) == sorted(job.id for job in jobs))
    until(lambda: desk.queue.outbox.backlogs()[0].waiting == 0)
    sender.close(10)
    desk.stop()
    assert main([], tmp_path) == 0
    assert capsys.readouterr().out == "Everything has been delivered.\n"


def test_a_folder_that_is_no_studios_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path) == 1
    assert "STUDIO_DATA_DIR" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        db.execute("PRAGMA user_version=1")
    assert main(["resend", "all"], tmp_path) == 1
    assert "Start this version of the studio once" in capsys.readouterr().err
    (tmp_path / "jobs.db").write_bytes(b"not a database" * 100)
    assert main([], tmp_path) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_wrong_word_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resend", "some"], tmp_path) == 2
    assert "ID|all" in capsys.readouterr().err
