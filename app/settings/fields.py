"""Every setting: its variable, its default, and what is refused at the start.

`load` merges flags over the environment over `.env` over defaults. What cannot be used stops the start with
SettingsRefused: a line for each problem, with the name as the user wrote it, the value, and the remedy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.accounts import MIN_TOKEN_LENGTH
from app.settings import values
from app.settings.report import load_settings

MAX_SPEECH_CORES = 8
"""Each takes a few hundred MB beside a real model; whoever has both sets more."""

Host = Annotated[str, AfterValidator(values.host)]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[Path, AfterValidator(values.path)]
ExistingFolder = Annotated[Path, AfterValidator(values.folder)]
ImageModel = Annotated[str, AfterValidator(values.image_model)]
ProjectId = Annotated[str, AfterValidator(values.project_id)]
Url = Annotated[str, AfterValidator(values.url)]
Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(values.split), AfterValidator(values.tokens)]
HostNames = Annotated[
    tuple[Annotated[str, AfterValidator(values.host_name)], ...], NoDecode, BeforeValidator(values.split)
]
AddressHosts = Annotated[
    tuple[Annotated[str, AfterValidator(values.address_host)], ...], NoDecode, BeforeValidator(values.split)
]
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(values.webhook_secret)], ...],
    NoDecode,
    BeforeValidator(values.split_words),
]
Boxes = Annotated[tuple[Annotated[str, AfterValidator(values.box)], ...], NoDecode, BeforeValidator(values.split)]
Origin = Annotated[str, AfterValidator(values.origin)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(values.split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(values.split)]


Limit = Annotated[int, Field(ge=0, le=1_000_000)]


def _no_limit() -> Any:
    return Field(default=0, description="a whole number from 0 (no limit) to 1000000", examples=[60])


class CommonSettings(BaseSettings):
    """What the studio and the speech service share.

    A field's description completes "must be ..."; its example is what the remedy suggests.
    """

    model_config = SettingsConfigDict(
        env_prefix="STUDIO_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
    )

    vosk_model: ExistingFolder | None = Field(
        default=None,
        validation_alias=AliasChoices("STUDIO_VOSK_MODEL", "MODEL_PATH"),
        description="the folder of an unpacked Vosk model (python3 launch.py models pull small-en gets one)",
        examples=["data/models/small-en"],
    )
    api_tokens: Tokens = Field(
        default=(),
        description=f"tokens of at least {MIN_TOKEN_LENGTH} characters without spaces, separated by commas, each alone "
        "or after its account's name, as in name=TOKEN, where a name is a lower-case letter and up to 31 more, digits, "
        '_ and - (python3 -c "import secrets; print(secrets.token_urlsafe(32))" makes a token)',
    )
    max_upload_mb: int = Field(
        default=200, ge=1, le=100_000, description="a whole number from 1 to 100000", examples=[200]
    )
    max_audio_minutes: int = Field(
        default=240, ge=1, le=10_000, description="a whole number from 1 to 10000", examples=[240]
    )
    fetch_hosts: AddressHosts = Field(
        default=("firebasestorage.googleapis.com", "storage.googleapis.com"),
        description="host names (*.name for all below one), whose files are fetched over https, or origins like "
        "http://127.0.0.1:9199, which are trusted as they are, separated by commas",
        examples=["firebasestorage.googleapis.com"],
    )
    vosk_models_dir: ExistingFolder | None = Field(
        default=None, description="a folder of Vosk models, each a folder of its own", examples=["data/models"]
    )
    speaker_model: ExistingFolder | None = Field(
        default=None, description="the folder of a Vosk speaker model", examples=["data/models/speakers"]
    )
    vosk_models_loaded: int = Field(default=2, ge=1, le=64, description="a whole number from 1 to 64", examples=[2])
    speech_workers: int = Field(
        default_factory=lambda: min(MAX_SPEECH_CORES, _cores()),
        ge=1,
        le=64,
        description="a whole number from 1 to 64",
        examples=[2],
    )
    live_sessions: int = Field(default=10, ge=1, le=1000, description="a whole number from 1 to 1000", examples=[10])
    live_minutes: int = Field(default=60, ge=1, le=1440, description="a whole number from 1 to 1440", examples=[60])
    live_idle_seconds: int = Field(
        default=30, ge=1, le=3600, description="a whole number from 1 to 3600", examples=[30]
    )
    drain_seconds: int = Field(default=120, ge=0, le=3600, description="a whole number from 0 to 3600", examples=[120])

    @property
    def tokens(self) -> frozenset[str]:
        """The entries as they are written, for `Accounts`; nobody has to show anything where there are none."""
        return frozenset(entry.get_secret_value() for entry in self.api_tokens)


class DataSettings(CommonSettings):
    """What a command needs that looks into the data folder and serves nothing."""

    data_dir: Folder = Field(default=Path("data"), description="a folder", examples=["data"])


class Settings(DataSettings):
    """The studio's settings. Frozen; made by `load`, or by a test with keyword arguments."""

    host: Host = Field(default="127.0.0.1", description="an address of this machine", examples=["127.0.0.1"])
    port: Port = Field(default=7860, description="a whole number from 1 to 65535", examples=[7860])
    image_model: ImageModel = Field(
        default="auto",
        description="auto, sdxl, sketch, the path of a model folder or .safetensors file, or a Hugging Face owner/name",
        examples=["auto"],
    )
    speech: Literal["auto", "vosk", "cloud-run"] = Field(
        default="auto", description="auto, vosk or cloud-run", examples=["auto"]
    )
    speech_files: int = Field(default=8, ge=1, le=64, description="a whole number from 1 to 64", examples=[8])
    transcription_service_url: Url | None = Field(
        default=None,
        validation_alias="TRANSCRIPTION_SERVICE_URL",
        description="the http or https address of the speech service",
        examples=["https://transcriber-abc123-ew.a.run.app"],
    )
    transcription_auth: Literal["auto", "google", "none"] = Field(
        default="auto",
        description="auto (an ID token of Google's for addresses below run.app, if there are credentials), google or "
        "none",
        examples=["auto"],
    )
    transcription_token: SecretStr | None = Field(
        default=None,
        min_length=MIN_TOKEN_LENGTH,
        description=f"one of the tokens in the speech service's STUDIO_API_TOKENS, at least {MIN_TOKEN_LENGTH} "
        "characters",
    )
    firebase_project_id: ProjectId | None = Field(
        default=None,
        validation_alias="FIREBASE_PROJECT_ID",
        description="the id of a Firebase project: 6 to 30 lower-case letters, digits and hyphens",
        examples=["my-social-app"],
    )
    models_dir: Folder = Field(
        default_factory=lambda data: data["data_dir"] / "models", description="a folder", examples=["data/models"]
    )
    presets_dir: ExistingFolder | None = Field(
        default_factory=lambda data: values.if_folder(data["data_dir"] / "presets"),
        description="a folder that exists",
        examples=["data/presets"],
    )
    allowed_hosts: HostNames = Field(
        default=(),
        description="host names as clients write them (*.name for all below one), without port, separated by commas",
        examples=["studio.example.com"],
    )
    allowed_origins: Origins = Field(
        default=(),
        description="web origins without a path, separated by commas",
        examples=["https://app.example.com"],
    )
    public_url: Origin | None = Field(
        default=None,
        description="the http or https address under which browsers reach the studio, without a path",
        examples=["https://studio.example.com"],
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="addresses or networks of proxies, separated by commas",
        examples=["127.0.0.1, 10.0.0.0/8"],
    )
    boxes: Boxes = Field(
        default=(),
        description="rented machines as ssh reaches them, separated by commas",
        examples=["root@203.0.113.7:40022"],
    )
    ssh_key: Path | None = Field(default=None, description="a private key's file", examples=["~/.ssh/id_ed25519"])
    max_queue: int = Field(default=32, ge=1, le=10_000, description="a whole number from 1 to 10000", examples=[32])
    preset_pictures: bool = Field(default=True, description="1 or 0", examples=[1])
    price_per_hour: float = Field(
        default=0.0, ge=0, le=10_000, description="a number of dollars from 0 (not told) to 10000", examples=[0.35]
    )
    keep_live_audio: bool = Field(default=False, description="1 or 0", examples=[1])
    microphone: bool = Field(default=False, description="1 or 0", examples=[1])
    """Whether pages may hear the microphones of this machine."""
    mcp: bool = Field(default=False, description="1 or 0", examples=[1])
    rate_per_minute: Limit = _no_limit()
    daily_jobs: Limit = _no_limit()
    user_rate_per_minute: Limit = _no_limit()
    user_daily_jobs: Limit = _no_limit()
    job_retention_days: int = Field(
        default=30, ge=0, le=36_500, description="a whole number from 0 (keep for ever) to 36500", examples=[30]
    )

    webhook_secret: Secrets = Field(
        default=(),
        max_length=2,
        description="whsec_ and the base64 of 24 to 64 random bytes, or two such while the old one is replaced "
        "(python3 -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\" "
        "makes one)",
    )
    webhook_hosts: AddressHosts = Field(
        default=(),
        description="host names that webhooks may be sent to by https (*.name for all below one), or whole origins "
        "that are trusted as they are, separated by commas",
        examples=["app.example.com"],
    )

    @model_validator(mode="after")
    def _safe_together(self) -> Settings:
        if not self.api_tokens and not values.has_tokens(self.data_dir):
            _refuse_open_door(self.host)
        if self.speech == "cloud-run" and self.transcription_service_url is None:
            raise ValueError(
                "STUDIO_SPEECH=cloud-run needs TRANSCRIPTION_SERVICE_URL, the address of the speech service; "
                "set it, or STUDIO_SPEECH=vosk to transcribe on this machine"
            )
        if self.transcription_token is not None and self.transcription_auth == "google":
            raise ValueError(
                "STUDIO_TRANSCRIPTION_TOKEN and STUDIO_TRANSCRIPTION_AUTH=google are two ways to be let in, and a "
                "request has room for one: leave one of them out"
            )
        return self

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """Which Host headers are answered: this machine's own names, the bound address, the allowed hosts, and that of
        the public address."""
        public = urlsplit(self.public_url or "").hostname
        return _trusted(self.host, (*self.allowed_hosts, *filter(None, [public])))


class TranscriberSettings(CommonSettings):
    """The speech service's settings. PORT is Cloud Run's variable and is read here only."""

    port: Port = Field(
        default=8080, validation_alias="PORT", description="a whole number from 1 to 65535", examples=[8080]
    )
    cloud_run_service: str = Field(default="", validation_alias="K_SERVICE")
    """Set by Cloud Run, whose own access control then stands in front."""
    allowed_hosts: HostNames = Field(
        default=(),
        description="host names as clients write them (*.name for all below one), without port, separated by commas",
        examples=["transcriber.example.com"],
    )
    host: str = Field(default="", description="an address of this machine", examples=["127.0.0.1"])

    @field_validator("host", mode="after")
    @classmethod
    def _reachable_if_guarded(cls, host: str, info: ValidationInfo) -> str:
        guarded = info.data.get("cloud_run_service") or info.data.get("api_tokens")
        if not host:
            return "0.0.0.0" if guarded else "127.0.0.1"
        return values.host(host)

    @model_validator(mode="after")
    def _safe_together(self) -> TranscriberSettings:
        if not self.cloud_run_service and not self.api_tokens:
            _refuse_open_door(self.host)
        return self

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """As the studio's. On Cloud Run its own front has looked at the name already, and knows more of them."""
        return ("*",) if self.cloud_run_service else _trusted(self.host, self.allowed_hosts)


def load(flags: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """The studio's settings, or SettingsRefused."""
    return load_settings(Settings, flags, env_file, known=(Settings, TranscriberSettings))


def load_data(env_file: Path | None = None) -> DataSettings:
    """Where the data is, also where the studio would not start, or SettingsRefused."""
    return load_settings(DataSettings, {}, env_file, known=(Settings, TranscriberSettings))


def load_transcriber(flags: Mapping[str, str], env_file: Path | None = None) -> TranscriberSettings:
    """The speech service's settings, or SettingsRefused."""
    return load_settings(TranscriberSettings, flags, env_file, known=(Settings, TranscriberSettings))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _trusted(host: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    bound = f"[{host}]" if ":" in host else host.lower()
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", bound, *allowed)))


def _refuse_open_door(host: str) -> None:
    if not is_loopback(host):
        raise ValueError(
            f"STUDIO_HOST={host} (or --host) can be reached by other machines, so it needs STUDIO_API_TOKENS: set that "
            f"to a token of at least {MIN_TOKEN_LENGTH} characters, or make one with python3 launch.py token create "
            "NAME, or listen on 127.0.0.1 and use an SSH tunnel"
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
