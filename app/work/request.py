"""What every kind's request has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from engines.requests import Request
from engines.results import Unused
from engines.words import did_you_mean

Address = Annotated[str, Field(min_length=1, max_length=4096, description="Where the file is, if it is not sent")]


class JobRequest(Request):
    """As somebody sends it: null stands for what is left out, and fields that are not known here are passed over.

    Of a file `<name>` that may come with it, a request has the field `<name>` for an address that it is to be fetched
    from instead, and `<name>_sha256`, which the queue fills in.
    """

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if value is not None}
        return values


def unknown_fields(sent: Mapping[str, Any], known: set[str]) -> tuple[Unused, ...]:
    """What was sent under names that nobody reads."""
    return tuple(
        Unused(name[:64], f"{name[:64]} is not known here and was not used.{did_you_mean(name, known)}")
        for name in sent
        if name not in known
    )
