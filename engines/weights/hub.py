"""What the Hugging Face hub has of a model: its files, their sizes and checksums. Fetches none of them.

The hub's own client lists; `download` fetches, because the client (huggingface_hub 2.4) throws away what has arrived
when a call ends early, and SDXL's largest file has 5 GB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from engines.errors import ModelInvalid, ModelMissing
from engines.weights.download import Source

COMMIT = re.compile(r"[0-9a-f]{40}")

PIPELINE_FILES = (
    "model_index.json",
    "scheduler/*.json",
    "tokenizer/*",
    "tokenizer_2/*",
    *(
        f"{part}/{file}"
        for part in ("unet", "vae", "text_encoder", "text_encoder_2")
        for file in ("config.json", "*.safetensors", "*.safetensors.index*.json")
    ),
)
"""What an SDXL model consists of in diffusers' layout."""

DATA_SUFFIXES = {".json", ".txt", ".safetensors", ".onnx"}
"""Only what cannot run: no pickles, no code."""

_WEIGHTS = re.compile(
    r".*?(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?\.safetensors|.*\.safetensors\.index(?:\.(?P<index>\w+))?\.json"
)


@dataclass(frozen=True, slots=True)
class HubFolder:
    """The files of a hub model that match one of `files` (shell patterns), in half precision where there is that."""

    hub_id: str
    revision: str
    """A commit's hash, or a branch, of which the newest commit is taken at the time of the download."""
    files: tuple[str, ...]
    about_bytes: int
    """Their size, roughly; 0: unknown."""

    @property
    def flag(self) -> str:
        """What a start with a folder of the files takes it by."""
        return "--vosk-model" if any(name.endswith(".onnx") for name in self.files) else "--image-model"

    @property
    def pinned(self) -> bool:
        """Whether the revision will always mean the same bytes."""
        return COMMIT.fullmatch(self.revision) is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """What to fetch: the commit's hash, and where each file, by its path in the folder, comes from."""

    commit: str
    files: dict[str, Source]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(source.size for source in self.files.values())


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub at `endpoint`; None: at HF_ENDPOINT, or else https://huggingface.co."""

    endpoint: str | None = None

    def list(self, folder: HubFolder) -> Listing:
        """Ask what there is. Raises ModelMissing (no answer, no such model), ModelInvalid (lacks a needed file)."""
        from huggingface_hub import HfApi, hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        # The base of the hub client's errors is that of its HTTP library, which has changed with its versions.
        http_error: type[Exception] = HfHubHTTPError.__bases__[0]
        not_answered = (http_error, OSError, HFValidationError)
        api = HfApi(endpoint=self.endpoint)
        try:
            commit = folder.revision
            if not folder.pinned:
                commit = str(api.model_info(folder.hub_id, revision=folder.revision).sha)
            tree = list(api.list_repo_tree(folder.hub_id, recursive=True, revision=commit))
        except not_answered as error:
            raise ModelMissing(
                f"The model {folder.hub_id!r} is neither on this machine nor could it be downloaded "
                f"({_first_line(error)}). Start once with a connection to {api.endpoint} (and HF_TOKEN, if the model "
                f"asks for one), or copy the model's folder here and start with {folder.flag} PATH."
            ) from error
        entries = {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}
        chosen = choose(folder.hub_id, tuple(entries), folder.files)
        return Listing(
            commit,
            {
                path: _source(entries[path], hf_hub_url(folder.hub_id, path, revision=commit, endpoint=self.endpoint))
                for path in chosen
            },
        )

    def headers(self) -> dict[str, str]:
        """What a download from the hub sends along: the token of HF_TOKEN or of `hf auth login`, if there is one."""
        from huggingface_hub import get_token

        token = get_token()
        return {"Authorization": f"Bearer {token}"} if token else {}


def choose(hub_id: str, names: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The files among `names` that make the model. Raises ModelInvalid if one that is needed is not there."""
    wanted = [name for name in names if _is_data(name) and any(fnmatchcase(name, pattern) for pattern in patterns)]
    half = {PurePosixPath(name).parent for name in wanted if _variant(name) == "fp16"}
    chosen = tuple(
        name for name in wanted if _variant(name) in (None, "fp16" if PurePosixPath(name).parent in half else "")
    )
    for pattern in patterns:
        needed = pattern.endswith(".safetensors") or "*" not in pattern
        if needed and not any(fnmatchcase(name, pattern) for name in chosen):
            raise ModelInvalid(
                f"The model {hub_id!r} has no {pattern} on the hub. Only SDXL models in diffusers' layout with "
                ".safetensors weights are fetched: pickle files (.bin, .ckpt) can run any program while they are read."
            )
    return chosen


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix in DATA_SUFFIXES and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _variant(name: str) -> str | None:
    """Of weights and their indexes: fp16, another variant's name, or "" for the usual ones. None for other files."""
    match = _WEIGHTS.fullmatch(PurePosixPath(name).name)
    return None if match is None else match["variant"] or match["index"] or ""


def _source(entry: Any, url: str) -> Source:
    """`entry`: a RepoFile. Large files (LFS) have a SHA-256, the others only git's own hash."""
    if entry.lfs is not None:
        return Source(url, int(entry.lfs.size), str(entry.lfs.sha256).lower())
    return Source(url, int(entry.size), "", git_sha1=str(entry.blob_id).lower())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
