"""From pydantic's errors to lines a person can act on: the name as written, the value, the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from engines.words import did_you_mean

PREFIX = "STUDIO_"
SECRET = frozenset({"api_tokens", "transcription_token", "webhook_secret"})
S = TypeVar("S", bound=BaseSettings)


class SettingsRefused(Exception):
    """The settings cannot be used; `str()` has one line for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(
    wanted: type[S], flags: Mapping[str, str], env_file: Path | None, *, known: Iterable[type[BaseSettings]]
) -> S:
    """`wanted` from flags, environment and `.env`, in that order. `known` are all settings that variables may name."""
    written = _read_env_file(env_file)
    unknown = _unknown_names(written, {name for settings in known for name in variables(settings)})
    if unknown:
        raise SettingsRefused(unknown)
    init: dict[str, Any] = dict(flags)
    try:
        return wanted(_env_file=env_file, _env_file_encoding="utf-8", **init)
    except ValidationError as invalid:
        problems = [_line(wanted, error, flags, written) for error in invalid.errors() if _is_cause(error)]
        raise SettingsRefused(list(dict.fromkeys(problems))) from None


def variables(settings: type[BaseSettings]) -> dict[str, str]:
    """Every variable that the settings read -> its field."""
    return {name: field for field, info in settings.model_fields.items() for name in _names(field, info)}


def _names(field: str, info: FieldInfo) -> list[str]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [alias] if isinstance(alias, str) else [f"{PREFIX}{field.upper()}"]


def _read_env_file(env_file: Path | None) -> dict[str, str | None]:
    if env_file is None or not env_file.exists():
        return {}
    try:
        return dotenv_values(env_file, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRefused([f"{env_file} cannot be read ({error}): make it a readable UTF-8 text file"]) from error


def _unknown_names(written: Mapping[str, str | None], known: set[str]) -> list[str]:
    """A mistyped name must not be silent: what it was to change would stay as it is."""
    lines = []
    for name in sorted({*os.environ, *written}):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            remedy = did_you_mean(name.upper(), sorted(known)) or " Remove it, or see .env.example for the names"
            lines.append(f"{name}: there is no such setting.{remedy}")
    return lines


def _is_cause(error: Mapping[str, Any]) -> bool:
    # pydantic reports, besides each wrong value, the defaults that would have been derived from it.
    return bool(error["type"] != "default_factory_not_called")


def _line(
    settings: type[BaseSettings], error: Mapping[str, Any], flags: Mapping[str, str], written: Mapping[str, str | None]
) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    place = str(error["loc"][0])
    field = variables(settings).get(place, place)
    info = settings.model_fields[field]
    shown, example = _as_written(field, _names(field, info), flags, written)
    line = f"{shown}: must be {info.description}"
    if error["type"] == "detail":
        line = f"{line}; {error['msg']}"
    return f"{line}; e.g. {example}{info.examples[0]}" if info.examples else line


def _as_written(
    field: str, names: list[str], flags: Mapping[str, str], written: Mapping[str, str | None]
) -> tuple[str, str]:
    """The setting with its value as the user wrote it, and how an example of it starts."""
    flag = f"--{field.replace('_', '-')} "
    if field in flags:
        return f"{flag}{flags[field]}", flag
    for source, where in ((os.environ, ""), (written, " (in .env)")):
        for name, value in source.items():
            if value and name.upper() in names:
                return f"{name}{'' if field in SECRET else f'={value}'}{where}", f"{name}="
    return names[0], f"{names[0]}="
