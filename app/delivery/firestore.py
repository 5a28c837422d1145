"""Jobs that belong to a post are told to Firestore, so that the app's pages see them without asking here.

A transcription keeps `posts/{post}` up to date and leaves its words in `posts/{post}/transcripts/{job}`; pictures leave
where they are in `posts/{post}/images/{job}`. Every document has a name that follows from the job, so a delivery that
happens twice changes nothing. The post is written last, so who reads `completed` finds the rest.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.delivery.documents import (
    POST_FIELDS,
    Document,
    images_document,
    post_fields,
    post_path,
    transcript_documents,
    version_in,
    version_of,
)
from app.delivery.errors import DeliveryFailed, DeliveryRefused
from app.jobs.model import Job, JobState
from app.work.image import PicturesResult
from app.work.request import JobRequest
from app.work.speech import TranscriptionRequest

if TYPE_CHECKING:
    from google.cloud.firestore import Client

log = logging.getLogger(__name__)

CALL_SECONDS = 10.0
"""For one call. Google's client would try for 60 to 300 s by itself, and nobody would know."""

WAIT_WHEN_OVER_QUOTA = 60.0
WRITES_OF_OTHERS = 5
"""So often somebody else may write to the post while we do, before the delivery is put off."""


def connect(project: str) -> Client:
    """Google's client, for FIRESTORE_EMULATOR_HOST where that is set. Half a second: it is slow to import."""
    from google.cloud.firestore import Client

    return Client(project)


class FirestoreDeliverer:
    """Thread-safe, as long as what has the same `order_key` is delivered by one thread at a time."""

    name = "firestore"

    def __init__(
        self,
        project: str,
        base_url: str,
        *,
        connect: Callable[[str], Client] = connect,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`base_url`: with which the addresses of files begin. The client is made at the first delivery."""
        self._project = project
        self._base_url = base_url
        self._connect = connect
        self._call_seconds = call_seconds
        self._client: Client | None = None
        self._making_client = threading.Lock()

    def wants(self, job: Job) -> bool:
        """Every state of a post's transcription, and the pictures of a post."""
        if not _post_of(job):
            return False
        return isinstance(job.request, TranscriptionRequest) or (
            job.state is JobState.SUCCEEDED and isinstance(job.result, PicturesResult)
        )

    def order_key(self, job: Job) -> str:
        return _post_of(job)

    def deliver(self, job: Job, message_id: str = "") -> None:  # noqa: ARG002 - the documents' names do its work
        """Raises DeliveryFailed, DeliveryRefused."""
        post_id = _post_of(job)
        with _explained(self._call_seconds):
            client = self._connected()
            if not isinstance(job.request, TranscriptionRequest):
                self._create(client, images_document(job, post_id, self._base_url))
                return
            if job.state is JobState.SUCCEEDED:
                self._keep_transcript(client, job, post_id)
            self._update_post(client, job, post_id)

    def _connected(self) -> Client:
        with self._making_client:
            if self._client is None:
                self._client = self._connect(self._project)
            return self._client

    def _keep_transcript(self, client: Client, job: Job, post_id: str) -> None:
        transcript, parts = transcript_documents(job, post_id, self._base_url)
        if parts and self._is_there(client, transcript):
            return
        for part in parts:
            # Of one transcript they are always the same, so writing over them is harmless.
            client.document(part.path).set(dict(part.fields), retry=None, timeout=self._call_seconds)
        self._create(client, transcript)

    def _create(self, client: Client, document: Document) -> None:
        from google.api_core.exceptions import AlreadyExists

        reference = client.document(document.path)
        try:
            reference.create(dict(document.fields), retry=None, timeout=self._call_seconds)
        except AlreadyExists:
            if not self._is_there(client, document):
                raise DeliveryFailed(f"{document.path} was deleted while it was compared.") from None

    def _is_there(self, client: Client, document: Document) -> bool:
        """Whether it has been delivered before. Raises DeliveryRefused where something else is in its place."""
        there = client.document(document.path).get(["contentHash"], retry=None, timeout=self._call_seconds)
        if there.exists and (there.to_dict() or {}).get("contentHash") != document.fields["contentHash"]:
            raise DeliveryRefused(
                f"{document.path} holds something else than this job's result. Delete it there and deliver it again."
            )
        return bool(there.exists)

    def _update_post(self, client: Client, job: Job, post_id: str) -> None:
        """Bring the post to the job's state, unless it is further already.

        What is written is on condition that the post is still as it was read: two writers cannot pass each other.
        """
        from google.api_core.exceptions import Aborted, AlreadyExists, FailedPrecondition, NotFound
        from google.cloud.firestore import DELETE_FIELD

        post = client.document(post_path(post_id))
        for _ in range(WRITES_OF_OTHERS):
            found = post.get(retry=None, timeout=self._call_seconds)
            stored = found.to_dict() or {}
            known = version_in(stored)
            if known is not None and known > version_of(job):
                log.info("job %s in state %s is older than what its post says", job.id, job.state.value)
                return
            others = {name: value for name, value in stored.items() if name not in POST_FIELDS}
            fields = post_fields(job, post_id, others)
            if fields == {name: stored[name] for name in POST_FIELDS if name in stored}:
                return
            try:
                if found.exists:
                    post.update(
                        {**dict.fromkeys(POST_FIELDS, DELETE_FIELD), **fields},
                        option=client.write_option(last_update_time=found.update_time),
                        retry=None,
                        timeout=self._call_seconds,
                    )
                else:
                    post.create(fields, retry=None, timeout=self._call_seconds)
            except (Aborted, AlreadyExists, FailedPrecondition, NotFound):
                continue
            return
        raise DeliveryFailed("Others kept writing to the post at the same time.")


def _post_of(job: Job) -> str:
    return job.request.post_id if isinstance(job.request, JobRequest) else ""


@contextmanager
def _explained(seconds: float) -> Iterator[None]:
    """Google's errors as ours. Their texts name projects, addresses and accounts, so they are left out."""
    from google.api_core.exceptions import (
        DeadlineExceeded,
        GoogleAPIError,
        InvalidArgument,
        PermissionDenied,
        ResourceExhausted,
        ServiceUnavailable,
    )
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    try:
        yield
    except PermissionDenied:
        raise DeliveryRefused(
            "Firestore denies this studio's account the access: give it the role Cloud Datastore User."
        ) from None
    except InvalidArgument:
        raise DeliveryRefused("Firestore does not take this document: the post may have no room left.") from None
    except ResourceExhausted:
        raise DeliveryFailed("Firestore's quota is used up.", WAIT_WHEN_OVER_QUOTA) from None
    except DeadlineExceeded:
        raise DeliveryFailed(f"Firestore did not answer in {seconds:g} s.") from None
    except ServiceUnavailable:
        raise DeliveryFailed("Firestore cannot be reached.") from None
    except DefaultCredentialsError:
        raise DeliveryFailed(
            "There are no credentials for Firestore: set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account."
        ) from None
    except (GoogleAPIError, GoogleAuthError) as error:
        raise DeliveryFailed(f"Firestore answered with {type(error).__name__}.") from None
