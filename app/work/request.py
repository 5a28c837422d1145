"""What every kind's request has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from engines.requests import Request
from engines.results import Unused
from engines.words import did_you_mean

Address = Annotated[str, Field(min_length=1, max_length=4096, description="Where the file is, if it is not sent")]

MAX_POST_ID_BYTES = 1500
NO_POST = ("post_id", "")


def _document_id(text: str) -> str:
    """What Firestore takes as a document's id (https://firebase.google.com/docs/firestore/quotas), or nothing."""
    if len(text.encode()) > MAX_POST_ID_BYTES:
        raise ValueError(f"has {len(text.encode())} bytes: a post's id has {MAX_POST_ID_BYTES} at most")
    if "/" in text or text in (".", "..") or re.fullmatch("__.*__", text, re.DOTALL):
        raise ValueError(f"is {text[:64]!r}: a post's id has no / and is not ., .. or __something__")
    return text


PostId = Annotated[
    str,
    AfterValidator(_document_id),
    Field(description="Id of the post that gets the result, where Firestore is set up"),
]


class JobRequest(Request):
    """As somebody sends it: null stands for what is left out, and fields that are not known here are passed over.

    Of a file `<name>` that may come with it, a request has the field `<name>` for an address that it is to be fetched
    from instead, and `<name>_sha256`, which the queue fills in.
    """

    model_config = ConfigDict(extra="ignore")

    post_id: PostId = ""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            # An empty post_id says as little, and so leaves the request's hash as it was before there was one.
            return {name: value for name, value in values.items() if value is not None and (name, value) != NO_POST}
        return values


def unknown_fields(sent: Mapping[str, Any], known: set[str]) -> tuple[Unused, ...]:
    """What was sent under names that nobody reads."""
    return tuple(
        Unused(name[:64], f"{name[:64]} is not known here and was not used.{did_you_mean(name, known)}")
        for name in sent
        if name not in known
    )
