"""What of a job stands in Firestore, over real gRPC, whatever becomes of the way there; Google's clients read."""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from app.delivery.document_size import MAX_DOCUMENT_BYTES, document_size, most_elements
from app.delivery.documents import KEPT_FREE_BYTES, PART_BYTES
from app.delivery.errors import DeliveryFailed, DeliveryRefused
from app.delivery.firestore import FirestoreDeliverer
from app.jobs.model import Job, JobError, JobFile, JobState
from app.work.image import Picture, PicturesResult, PlainRequest
from app.work.presets import AvatarRequest
from app.work.speech import Captions, TranscriptionRequest, TranscriptionResult
from engines.errors import InvalidRequest
from engines.requests import ImageRequest, TranscribeRequest, parse
from engines.results import Recipe, Segment, Word
from tests.app.delivery.emulator import PROJECT, Emulator, Way, client_of

if TYPE_CHECKING:
    from google.cloud.firestore import Client

BASE = "https://studio.example.com/"
OURS = "transcription"


def heard(text: str, segments: tuple[Segment, ...] = ()) -> TranscriptionResult:
    return TranscriptionResult(
        text=text,
        segments=segments,
        duration=7.5,
        language="de",
        engine="vosk-small",
        where="local",
        demo=False,
        captions=Captions(srt="f-1", vtt="f-2", txt="f-3"),
    )


def said(words: str, start: float = 0.0) -> Segment:
    times = [
        Word(word=word, start=start + number / 2, end=start + number / 2 + 0.25, confidence=0.75)
        for number, word in enumerate(words.split())
    ]
    return Segment(text=words, start=start, end=times[-1].end, words=tuple(times))


def hours_of_speech(segments: int) -> TranscriptionResult:
    spoken = [said("so we come to the next item of the list and its price", 6.0 * number) for number in range(segments)]
    return heard(" ".join(one.text for one in spoken), tuple(spoken))


def waiting(post_id: str, number: int = 1) -> Job:
    """A transcription that waits. A later number was sent later."""
    return Job(
        id=secrets.token_hex(10),
        kind="transcription",
        device="speech",
        account="web",
        state=JobState.QUEUED,
        request=TranscriptionRequest(post_id=post_id),
        work=TranscribeRequest(),
        created_at=1_790_000_000.25 + number,
        number=number,
    )


def running(job: Job) -> Job:
    return job.with_(state=JobState.RUNNING, attempt=job.attempt + 1, started_at=job.created_at + 1)


def done(job: Job, result: TranscriptionResult) -> Job:
    return running(job).with_(state=JobState.SUCCEEDED, finished_at=job.created_at + 9, result=result)


def failed(job: Job, kind: str = "invalid_media") -> Job:
    error = JobError(kind, "This file cannot be read as sound.")
    return running(job).with_(state=JobState.FAILED, finished_at=job.created_at + 9, error=error)


def pictures(post_id: str, count: int) -> Job:
    recipe = partial(
        Recipe,
        prompt="ein Fuchs 🦊",
        negative_prompt="",
        width=512,
        height=512,
        rendered_width=1024,
        rendered_height=1024,
        enlarged=False,
        num_inference_steps=30,
        guidance_scale=6.5,
        sampler="euler",
        model="sdxl",
        demo=False,
    )
    made = [
        Picture(file_id=f"f-{seed}", seed=seed, width=512, height=512, recipe=recipe(seed=seed))
        for seed in range(2**32 - count, 2**32)
    ]
    return Job(
        id=secrets.token_hex(10),
        kind="image",
        device="image",
        account="web",
        state=JobState.SUCCEEDED,
        request=PlainRequest(prompt="ein Fuchs 🦊", post_id=post_id),
        work=ImageRequest(prompt="ein Fuchs 🦊", seed=1),
        created_at=1_790_000_000.0,
        finished_at=1_790_000_030.0,
        attempt=1,
        result=PicturesResult(model="sdxl", model_label="SDXL", demo=False, seconds=3.0, images=tuple(made)),
        files=tuple(
            JobFile(one.file_id, "1.png", "image/png", 1_400_000 + one.seed % 7, f"{one.seed:064x}") for one in made
        ),
    )


@pytest.fixture
def post_id(request: pytest.FixtureRequest) -> str:
    """Of a post that no other test has."""
    return f"{request.node.name[:60]}-{secrets.token_hex(4)}".replace("/", "-")


@pytest.fixture
def deliverer(emulator: Emulator) -> FirestoreDeliverer:
    return FirestoreDeliverer(PROJECT, BASE, connect=client_of(emulator.address))


@pytest.fixture
def by_way(way: Way) -> FirestoreDeliverer:
    return FirestoreDeliverer(PROJECT, BASE, connect=client_of(way.address), call_seconds=2)


def post_at(firestore: Client, post_id: str) -> dict[str, Any]:
    return firestore.document(f"posts/{post_id}").get().to_dict() or {}


def below(firestore: Client, path: str) -> list[dict[str, Any]]:
    return [found.to_dict() or {} for found in firestore.collection(path).get()]


def node(programs: Path, emulator: Emulator, what: str, post_id: str) -> Any:
    """What firebase-admin reads."""
    command = ["node", "read.mjs", PROJECT, what, post_id]
    env = {**os.environ, "FIRESTORE_EMULATOR_HOST": emulator.address}
    found = subprocess.run(command, cwd=programs, env=env, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def until_delivered(deliverer: FirestoreDeliverer, job: Job, seconds: float = 90) -> int:
    """Try as the outbox does; how often it failed. gRPC itself waits a second or more before it connects again."""
    deadline = time.monotonic() + seconds
    for failures in range(10_000):
        try:
            deliverer.deliver(job)
        except DeliveryFailed:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return failures
    raise AssertionError


# -- what is there


def test_a_post_follows_its_transcription(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, programs: Path, post_id: str
) -> None:
    firestore.document(f"posts/{post_id}").set({"title": "Grüße", "likes": 3, "place": {"name": "Köln"}})
    job = waiting(post_id)
    result = heard("grüße aus köln", (said("grüße aus köln"),))
    statuses = []
    for state in (job, running(job), done(job, result)):
        assert deliverer.wants(state)
        assert deliverer.order_key(state) == post_id
        deliverer.deliver(state)
        post = post_at(firestore, post_id)
        statuses.append(post["transcriptionStatus"])
        assert ("transcription" in post) == (state.state is JobState.SUCCEEDED)
    assert statuses == ["pending", "processing", "completed"]
    assert (post["title"], post["likes"], post["place"]) == ("Grüße", 3, {"name": "Köln"})
    assert (post["transcription"], post["transcriptionLanguage"]) == ("grüße aus köln", "de")
    assert post["transcriptionProcessedAt"] == datetime.fromtimestamp(job.created_at + 9, UTC)
    assert post["transcriptionJobId"] == job.id
    (transcript,) = below(firestore, f"posts/{post_id}/transcripts")
    assert transcript["text"] == "grüße aus köln"
    assert transcript["segments"] == json.loads(result.model_dump_json())["segments"]
    assert transcript["captions"]["srt"] == {"fileId": "f-1", "url": "https://studio.example.com/files/f-1"}
    assert (transcript["duration"], transcript["engine"], transcript["parts"]) == (7.5, "vosk-small", 0)

    seen = node(programs, emulator, "post", post_id)
    assert (seen["transcription"], seen["transcriptionStatus"]) == ("grüße aus köln", "completed")
    assert seen["transcriptionProcessedAt"] == job.created_at + 9
    assert node(programs, emulator, "transcript", post_id)["segments"] == transcript["segments"]


def test_a_post_that_is_not_there_yet_is_made(deliverer: FirestoreDeliverer, firestore: Client, post_id: str) -> None:
    deliverer.deliver(done(waiting(post_id), heard("")))
    post = post_at(firestore, post_id)
    assert (post["transcription"], post["transcriptionStatus"]) == ("", "completed")


def test_a_failure_is_told_and_is_never_a_text(deliverer: FirestoreDeliverer, firestore: Client, post_id: str) -> None:
    deliverer.deliver(done(waiting(post_id), heard("the first time")))
    again = waiting(post_id, number=2)
    deliverer.deliver(failed(again))
    post = post_at(firestore, post_id)
    assert post["transcriptionStatus"] == "failed"
    assert post["transcriptionError"] == {"type": "invalid_media", "message": "This file cannot be read as sound."}
    assert not {"transcription", "transcriptionLanguage", "transcriptionTextIn"} & set(post)
    # What was heard the first time is not lost.
    (transcript,) = below(firestore, f"posts/{post_id}/transcripts")
    assert transcript["text"] == "the first time"
    deliverer.deliver(done(waiting(post_id, number=3), heard("third time lucky")))
    post = post_at(firestore, post_id)
    assert post["transcription"] == "third time lucky"
    assert "transcriptionError" not in post


def test_pictures_leave_where_they_are_and_how_they_were_made(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, post_id: str
) -> None:
    job = pictures(post_id, 2)
    assert deliverer.wants(job)
    deliverer.deliver(job)
    (found,) = below(firestore, f"posts/{post_id}/images")
    first, second = found["images"]
    assert first["url"] == "https://studio.example.com/files/f-4294967294"
    assert (first["sha256"], first["size"]) == (job.files[0].sha256, job.files[0].size)
    assert (first["width"], first["height"], second["seed"]) == (512, 512, 2**32 - 1)
    assert (first["recipe"]["prompt"], first["recipe"]["guidance_scale"]) == ("ein Fuchs 🦊", 6.5)
    assert {name: found[name] for name in first} == first
    assert post_at(firestore, post_id) == {}
    emulator.writes()
    deliverer.deliver(job)
    assert emulator.writes() == []


def test_only_what_belongs_to_a_post_is_told(deliverer: FirestoreDeliverer) -> None:
    assert not deliverer.wants(waiting(""))
    assert not deliverer.wants(pictures("", 1))
    made = pictures("p", 1)
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.FAILED, JobState.CANCELLED):
        assert not deliverer.wants(made.with_(state=state, result=None))
    assert all(deliverer.wants(waiting("p").with_(state=state)) for state in JobState)


@pytest.mark.parametrize(
    ("post_id", "why"),
    [
        ("a/b", "has no /"),
        (".", "is not ., .."),
        ("..", "is not ., .."),
        ("__x__", "__something__"),
        ("ü" * 751, "has 1502 bytes"),
    ],
)
def test_an_id_that_no_post_can_have_is_refused(post_id: str, why: str) -> None:
    for request, more in ((TranscriptionRequest, {}), (AvatarRequest, {"prompt": "a cat"})):
        with pytest.raises(InvalidRequest, match="post_id") as refused:
            parse(request, {"post_id": post_id, **more})
        assert why in str(refused.value)
    assert parse(TranscriptionRequest, {"post_id": "ü" * 750}).post_id
    assert parse(TranscriptionRequest, {"post_id": None}).post_id == ""


def test_ids_of_any_writing_are_the_same_to_every_reader(
    deliverer: FirestoreDeliverer, emulator: Emulator, programs: Path
) -> None:
    post_id = f"пост 日本 🦊 .. %2F ~*[] {secrets.token_hex(4)}"
    deliverer.deliver(done(waiting(post_id), heard("🦊 日本語 \x00 e\u0301")))
    assert node(programs, emulator, "post", post_id)["transcription"] == "🦊 日本語 \x00 e\u0301"


def test_an_empty_id_leaves_the_request_as_it_was() -> None:
    """Idempotency-Keys go by what was set: those of an earlier version go on to hold."""
    assert parse(PlainRequest, {"prompt": "a cat", "post_id": ""}).model_dump(exclude_unset=True) == {"prompt": "a cat"}


# -- again, and in another order


def test_a_repeated_delivery_changes_nothing(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, post_id: str
) -> None:
    job = waiting(post_id)
    for state in (job, running(job), done(job, hours_of_speech(900)), failed(waiting(post_id, number=2))):
        deliverer.deliver(state)
        before = firestore.document(f"posts/{post_id}").get().update_time
        emulator.writes()
        deliverer.deliver(state)
        assert emulator.writes() == []
        assert firestore.document(f"posts/{post_id}").get().update_time == before


def test_what_is_late_overwrites_nothing(deliverer: FirestoreDeliverer, firestore: Client, post_id: str) -> None:
    """Every order of two jobs' messages leaves the newer job's last word."""
    old, new = waiting(post_id), waiting(post_id, number=2)
    told = [
        *(old, running(old), done(old, heard("old"))),
        *(new, running(new), running(running(new)).with_(state=JobState.QUEUED), done(running(new), heard("new"))),
    ]
    for seed in range(25):
        random.Random(seed).shuffle(told)
        firestore.document(f"posts/{post_id}").set({"title": "kept"})
        for job in told:
            deliverer.deliver(job)
        post = post_at(firestore, post_id)
        assert (post["transcription"], post["transcriptionStatus"], post["title"]) == ("new", "completed", "kept"), seed
    assert {one["text"] for one in below(firestore, f"posts/{post_id}/transcripts")} == {"old", "new"}


def test_a_job_that_runs_again_is_followed(deliverer: FirestoreDeliverer, firestore: Client, post_id: str) -> None:
    job = waiting(post_id)
    ended = failed(job)
    again = ended.with_(state=JobState.QUEUED, error=None, started_at=None, finished_at=None)
    seen = []
    for state in (job, running(job), ended, running(again), done(again, heard("at last"))):
        deliverer.deliver(state)
        seen.append(post_at(firestore, post_id)["transcriptionStatus"])
    assert seen == ["pending", "processing", "failed", "processing", "completed"]
    cancelled = waiting(post_id, number=2)
    error = JobError("cancelled", "Cancelled.")
    deliverer.deliver(cancelled.with_(state=JobState.CANCELLED, error=error, finished_at=cancelled.created_at + 1))
    deliverer.deliver(cancelled)
    post = post_at(firestore, post_id)
    assert (post["transcriptionStatus"], post["transcriptionError"]["type"]) == ("failed", "cancelled")


def test_something_else_in_a_transcripts_place_is_not_taken_for_it(
    deliverer: FirestoreDeliverer, firestore: Client, post_id: str
) -> None:
    for number, result in enumerate((heard("mine"), hours_of_speech(900))):
        job = done(waiting(post_id, number), result)
        firestore.document(f"posts/{post_id}/transcripts/{job.id}").set({"text": "another's"})
        with pytest.raises(DeliveryRefused, match="something else"):
            deliverer.deliver(job)
        assert post_at(firestore, post_id) == {}


def test_what_another_writes_meanwhile_is_kept(emulator: Emulator, firestore: Client, post_id: str) -> None:
    """The app writes, and a newer job of another studio too, between our look at the post and our write."""
    older, newer = done(waiting(post_id), heard("old")), done(waiting(post_id, number=2), heard("new"))
    firestore.document(f"posts/{post_id}").set({"likes": 0})
    other = FirestoreDeliverer(PROJECT, BASE, connect=client_of(emulator.address))

    def meanwhile() -> None:
        other.deliver(newer)
        firestore.document(f"posts/{post_id}").update({"likes": 1})

    FirestoreDeliverer(PROJECT, BASE, connect=disturbed(emulator, [meanwhile])).deliver(older)
    post = post_at(firestore, post_id)
    assert (post["transcription"], post["likes"]) == ("new", 1)


def test_a_post_that_others_never_leave_alone_is_tried_again_later(
    emulator: Emulator, firestore: Client, post_id: str
) -> None:
    def like() -> None:
        firestore.document(f"posts/{post_id}").set({"likes": random.random()}, merge=True)

    like()
    pressed = FirestoreDeliverer(PROJECT, BASE, connect=disturbed(emulator, [like] * 5))
    job = done(waiting(post_id), heard("text"))
    with pytest.raises(DeliveryFailed, match="Others"):
        pressed.deliver(job)
    assert "transcription" not in post_at(firestore, post_id)
    pressed.deliver(job)
    assert post_at(firestore, post_id)["transcription"] == "text"


def disturbed(emulator: Emulator, actions: list[Callable[[], None]]) -> Callable[[str], Client]:
    """A client with which something happens between a look at a post and the write after it."""

    class Disturbed:
        def __init__(self, project: str) -> None:
            self._client = client_of(emulator.address)(project)
            self.document = self._client.document

        def write_option(self, **options: Any) -> Any:
            if actions:
                actions.pop()()
            return self._client.write_option(**options)

    return cast("Callable[[str], Client]", Disturbed)


# -- size


def test_the_size_is_what_firestores_page_says() -> None:
    """The page's own example comes to 147 bytes."""
    task = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}
    assert document_size("users/jeff/tasks/my_task_id", task) == 147
    assert document_size("a/b", {"t": "ü🦊"}) - document_size("a/b", {"t": ""}) == 6


def test_our_count_is_the_emulators(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, post_id: str
) -> None:
    emulator.writes()
    deliverer.deliver(done(waiting(post_id), hours_of_speech(900)))
    written = emulator.writes()
    assert len(written) > 2
    for path, size in written:
        assert document_size(path, firestore.document(path).get().to_dict() or {}) == size <= MAX_DOCUMENT_BYTES


@pytest.mark.parametrize("letter", ["a", "ü", "🦊"])
def test_a_text_stands_in_the_post_up_to_the_last_byte_that_fits(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, programs: Path, post_id: str, letter: str
) -> None:
    """And one byte more is kept whole elsewhere. Bytes count, not characters."""
    others = {"title": "ü" * 50_000, "tags": ["a", {"b": None}], "raw": b"123", "at": datetime.now(UTC)}
    firestore.document(f"posts/{post_id}").set(others)
    deliverer.deliver(done(waiting(post_id), heard("")))
    empty = document_size(f"posts/{post_id}", post_at(firestore, post_id))
    room = MAX_DOCUMENT_BYTES - KEPT_FREE_BYTES - empty
    text = letter * (room // len(letter.encode()))
    text += "." * (room - len(text.encode()))
    deliverer.deliver(done(waiting(post_id, number=2), heard(text)))
    post = post_at(firestore, post_id)
    assert post["transcription"] == text
    assert "transcriptionTextIn" not in post
    assert node(programs, emulator, "transcript", post_id)["text"] == text

    job = done(waiting(post_id, number=3), heard(text + "."))
    deliverer.deliver(job)
    post = post_at(firestore, post_id)
    assert "transcription" not in post
    assert post["transcriptionTextIn"] == f"posts/{post_id}/transcripts/{job.id}"
    assert (post["transcriptionStatus"], post["title"]) == ("completed", others["title"])
    assert node(programs, emulator, "transcript", post_id)["text"] == text + "."


def test_a_text_of_several_documents_comes_back_whole(
    deliverer: FirestoreDeliverer, emulator: Emulator, programs: Path, post_id: str
) -> None:
    text = "".join(random.Random(1).choices("aé🦊日 ", k=500_000))
    emulator.writes()
    job = done(waiting(post_id), heard(text, (said("aé🦊日"),)))
    deliverer.deliver(job)
    written = dict(emulator.writes())
    parts = [path for path in written if "/parts/" in path]
    assert len(parts) > 1
    assert max(written.values()) <= PART_BYTES
    read = node(programs, emulator, "transcript", post_id)
    assert read["text"] == text
    assert [word["word"] for segment in read["segments"] for word in segment["words"]] == ["aé🦊日"]


def test_words_of_hours_come_back_whole_and_in_order(
    deliverer: FirestoreDeliverer, firestore: Client, emulator: Emulator, programs: Path, post_id: str
) -> None:
    """More than a document holds, twice: of short segments, and of one without a pause."""
    many = hours_of_speech(400)
    breathless = said(" ".join(f"wort{number}" for number in range(8_000)), 6000.0)
    result = heard(f"{many.text} {breathless.text}", (*many.segments, breathless))
    deliverer.deliver(done(waiting(post_id), result))
    assert post_at(firestore, post_id)["transcription"] == result.text
    read = node(programs, emulator, "transcript", post_id)
    assert read["text"] == result.text
    assert " ".join(segment["text"] for segment in read["segments"]) == result.text
    assert [word for one in read["segments"] for word in one["words"]] == [word.model_dump() for word in result.words]


def test_a_document_has_no_more_segments_than_firestore_indexes(
    deliverer: FirestoreDeliverer, firestore: Client, post_id: str
) -> None:
    """Its index entries carry the post's id, which may be long."""
    post_id = (post_id + "x" * 1500)[:1500]
    result = heard("ja " * 2000, tuple(said("ja", float(number)) for number in range(2000)))
    deliverer.deliver(done(waiting(post_id), result))
    (transcript,) = firestore.collection(f"posts/{post_id}/transcripts").get()
    parts = below(firestore, f"{transcript.reference.path}/parts")
    most = most_elements(f"{transcript.reference.path}/parts/00000", "segments")
    assert [len(part.get("segments", ())) for part in parts] == [0, most, most, 2000 - 2 * most]


def test_a_post_without_any_room_is_refused_and_kept(
    deliverer: FirestoreDeliverer, firestore: Client, post_id: str
) -> None:
    path = f"posts/{post_id}"
    firestore.document(path).set({"title": "x" * (MAX_DOCUMENT_BYTES - document_size(path, {"title": ""}))})
    with pytest.raises(DeliveryRefused, match="no room"):
        deliverer.deliver(waiting(post_id))


# -- the way there


def test_a_stopped_firestore_is_told_at_once_and_found_again(
    by_way: FirestoreDeliverer, way: Way, firestore: Client, post_id: str
) -> None:
    job = done(waiting(post_id), heard("text"))
    way.close()
    for _ in range(3):
        with pytest.raises(DeliveryFailed, match="cannot be reached") as told:
            by_way.deliver(job)
        assert not {str(way.port), "127.0.0.1", PROJECT} & set(str(told.value).replace(":", " ").split())
    way.open()
    until_delivered(by_way, job)
    way.close()
    with pytest.raises(DeliveryFailed):
        by_way.deliver(waiting(post_id, number=2))
    way.open()
    until_delivered(by_way, done(waiting(post_id, number=2), heard("more")))
    assert post_at(firestore, post_id)["transcription"] == "more"


def test_a_silent_firestore_costs_one_timeout(way: Way, firestore: Client, post_id: str) -> None:
    impatient = FirestoreDeliverer(PROJECT, BASE, connect=client_of(way.address), call_seconds=0.5)
    job = done(waiting(post_id), heard("text"))
    way.delay = 3.0
    started = time.monotonic()
    with pytest.raises(DeliveryFailed, match=r"in 0.5 s|cannot be reached"):
        impatient.deliver(job)
    # One call's time, and not Google's own minutes.
    assert time.monotonic() - started < 20
    way.delay = 0.0
    way.cut()
    until_delivered(impatient, job)
    assert post_at(firestore, post_id)["transcription"] == "text"


def test_a_slow_firestore_is_waited_for(by_way: FirestoreDeliverer, way: Way, firestore: Client, post_id: str) -> None:
    way.delay = 0.1
    by_way.deliver(done(waiting(post_id), heard("text")))
    assert post_at(firestore, post_id)["transcription"] == "text"


def test_a_firestore_that_comes_back_empty_gets_everything_again(programs: Path, post_id: str) -> None:
    """Killed in the middle of a delivery: what was half there is written anew."""
    emulator = Emulator(programs / "emulator.mjs")
    way = Way(emulator.port)
    try:
        deliverer = FirestoreDeliverer(PROJECT, BASE, connect=client_of(way.address), call_seconds=2)
        result = hours_of_speech(900)
        job = done(waiting(post_id), result)
        deliverer.deliver(waiting(post_id))
        way.cut_after("there", 700_000)
        with pytest.raises(DeliveryFailed):
            deliverer.deliver(job)
        emulator.kill()
        emulator.start()
        until_delivered(deliverer, job)
        read = node(programs, emulator, "transcript", post_id)
        assert [word for one in read["segments"] for word in one["words"]] == [one.model_dump() for one in result.words]
    finally:
        way.close()
        emulator.kill()


def test_nothing_is_lost_or_there_twice_however_often_the_way_breaks(
    by_way: FirestoreDeliverer, way: Way, firestore: Client, emulator: Emulator, post_id: str
) -> None:
    """40 deliveries, each broken off after some bytes, there (not written) or back (written, and not heard of)."""
    chance = random.Random(7)
    by_way.deliver(waiting(post_id, number=0))
    emulator.writes()
    failures = 0
    for number in range(1, 41):
        words = f"text {number} " * chance.choice((1, 200, 5000))
        job = done(waiting(post_id, number), heard(words, (said(f"text {number}"),)))
        direction = chance.choice(("there", "back"))
        way.cut_after(direction, chance.randrange(1, 2 * len(words) + 1500 if direction == "there" else 900))
        failures += until_delivered(by_way, job)
        # Once more, as after a crash before it was noted.
        failures += until_delivered(by_way, job)
        post = post_at(firestore, post_id)
        assert (post["transcription"], post["transcriptionJobId"]) == (words, job.id)
    assert way.cuts > 20
    assert failures >= way.cuts // 2
    written = [path for path, _ in emulator.writes()]
    assert len(below(firestore, f"posts/{post_id}/transcripts")) == 40
    transcripts = [path for path in written if "/transcripts/" in path]
    assert len(transcripts) == len(set(transcripts)) == 40
    assert written.count(f"posts/{post_id}") == 40
