"""A Vosk model folder: is it one, of which layout, what is it called, which language does it understand.

Most are Kaldi's, which Vosk itself runs. Those from 0.52 on are Zipformer transducers in ONNX, which Vosk 0.3.45 cannot
read: onnx-asr runs them, where it is installed.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from engines.errors import InvalidRequest, ModelInvalid, ModelMissing
from engines.languages import primary
from engines.results import SpeechModelInfo

DESCRIPTION = "studio.json"
"""Optional file in a model folder: {"name", "label", "demo", "language", "words"}."""

UNKNOWN_LANGUAGE = "und"
"""BCP 47 for undetermined: a model that does not say takes every language."""

ACOUSTIC_MODELS = ("am/final.mdl", "final.mdl")
GRAPHS = ("graph/HCLG.fst", "graph/HCLr.fst", "HCLG.fst", "HCLr.fst")
FEATURES = ("conf/mfcc.conf", "mfcc.conf")

ONNX_PARTS = ("encoder", "decoder", "joiner")
TOKENS = "tokens.txt"
QUANTIZATIONS = (None, "int8")
"""Full precision first: a folder may have both, and int8 costs words."""

ONNX_PACKAGES = ("onnx_asr", "onnxruntime")
GET_ONNX = ".venv/bin/python -m pip install -r requirements-onnx.txt"
"""Typed in the project's folder."""


class Layout(Enum):
    """Who can run a model."""

    KALDI = "vosk"
    ONNX = "onnx-asr"


# Codes in the public models' folder names that are countries' or old codes rather than BCP 47.
LANGUAGES = {"cn": "zh", "vn": "vi", "kz": "kk", "ua": "uk", "gr": "el", "tl": "fil"}
REGIONS = {"us", "in", "gb", "gr", "ph"}


def check_usable(folder: Path) -> Layout:
    """As `check_model_folder`, and raise ModelMissing where what runs such a model is not installed."""
    layout = check_model_folder(folder)
    if layout is Layout.ONNX and not all(map(find_spec, ONNX_PACKAGES)):
        raise ModelMissing(
            f"The speech model {folder.resolve().name} is one in ONNX, which needs onnx-asr: type `{GET_ONNX}` and "
            "start again, or choose another model."
        )
    return layout


def check_model_folder(folder: Path) -> Layout:
    """Who can run it. Raise ModelMissing or ModelInvalid, with the remedy. Cheap: looks at names only.

    Vosk itself reports a wrong folder by one sentence for all causes, on standard error.
    """
    if not folder.exists():
        raise ModelMissing(
            f"There is no speech model at {folder}. Fetch one with `python3 launch.py models pull small-en`, "
            "or name the folder of a Vosk model with --vosk-model or MODEL_PATH."
        )
    if not folder.is_dir():
        raise ModelInvalid(
            f"{folder} is a file; a Vosk model is a folder. Unpack it, then name the folder that holds am and conf."
        )
    kaldi = any((folder / name).is_file() for name in ACOUSTIC_MODELS)
    if not kaldi and any(any(folder.glob(f"*/{part}*.onnx")) for part in ONNX_PARTS):
        onnx_quantization(folder)
        return Layout.ONNX
    for kind, names in (("acoustic model", ACOUSTIC_MODELS), ("word graph", GRAPHS), ("features", FEATURES)):
        if not any((folder / name).is_file() for name in names):
            raise ModelInvalid(
                f"{folder} is not a complete Vosk model: its {kind} ({' or '.join(names[:2])}) is missing. Name the "
                "folder that directly holds am, conf and graph, or fetch the model again."
            )
    return Layout.KALDI


def onnx_quantization(folder: Path) -> str | None:
    """In which precision an ONNX model is there, as onnx-asr names it: None for the full one.

    Raises ModelInvalid unless each part is in exactly one folder of it, as onnx-asr wants them.
    """
    lacking: list[str] = []
    for quantization in QUANTIZATIONS:
        suffix = f".{quantization}.onnx" if quantization else ".onnx"
        names = [*(f"{part}{suffix}" for part in ONNX_PARTS), TOKENS]
        missing = [name for name in names if len(list(folder.glob(f"*/{name}"))) != 1]
        if not missing:
            return quantization
        lacking = lacking or missing
    raise ModelInvalid(
        f"{folder} is not a complete Vosk model in ONNX: {lacking[0]} must be in exactly one of its folders, as "
        "encoder.onnx, decoder.onnx and joiner.onnx are in am, and tokens.txt in lang. Fetch the model again."
    )


SPEAKER_FILES = ("final.ext.raw", "mean.vec", "transform.mat", "mfcc.conf")
"""What Vosk reads of a speaker model: the network, the mean of its vectors, how they are turned, the features."""


def check_speaker_folder(folder: Path) -> None:
    """Raise ModelMissing or ModelInvalid, with the remedy, unless the folder is a Vosk speaker model. Cheap."""
    if not folder.is_dir():
        raise ModelMissing(
            f"There is no speaker model at {folder}. Fetch it with `python3 launch.py models pull speakers`."
        )
    missing = [name for name in SPEAKER_FILES if not (folder / name).is_file()]
    if missing:
        raise ModelInvalid(f"{folder} is not a complete Vosk speaker model: {missing[0]} is missing. Fetch it again.")


NAMES_THAT_SAY_NOTHING = {"model", "models", "vosk", "vosk-model"}
"""Folder names that recipes and containers give to whichever model they hold."""

READMES = ("README", "README.md", "README.txt")
MAX_LABEL_CHARS = 80


def read_model_info(folder: Path) -> SpeechModelInfo:
    """What the folder says about itself, or what its name tells. Raises ModelInvalid for a broken description."""
    path = folder / DESCRIPTION
    described: dict[str, object] = {}
    if path.is_file():
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelInvalid(f"{path} is not valid JSON ({error}): correct it or remove it.") from error
        if not isinstance(described, dict):
            raise ModelInvalid(f"{path} must hold a JSON object with name, label, demo and language.")
    name = str(described.get("name") or folder.resolve().name)
    return SpeechModelInfo(
        name=name,
        label=str(described.get("label") or _label(folder, name)),
        demo=described.get("demo") is True,
        language=str(described.get("language") or guess_language(name)),
        where="local",
    )


def _label(folder: Path, name: str) -> str:
    """What to call a model that has no description: by its folder's name, or else by what its README begins with."""
    if name.lower() not in NAMES_THAT_SAY_NOTHING:
        return f"Vosk model {name}"
    readme = next((folder / file for file in READMES if (folder / file).is_file()), None)
    text = readme.read_text(encoding="utf-8", errors="replace") if readme else ""
    title = next((line for line in map(_plain, text.splitlines()) if line), "")
    return title if 0 < len(title) <= MAX_LABEL_CHARS else f"Vosk model (folder {name})"


def _plain(line: str) -> str:
    """A README's line without Markdown's marks of a heading, and without what a terminal would obey."""
    return "".join(filter(str.isprintable, line)).strip("#*= \t")


def guess_language(name: str) -> str:
    """BCP 47 from a public model's folder name: vosk-model-small-en-us-0.15 is en-US."""
    match = re.match(r"vosk-model-(?:small-|big-)?([a-z]{2,3})(?:-([a-z]{2}))?(?=[-.]|$)", name)
    if not match:
        return UNKNOWN_LANGUAGE
    language, region = match[1], match[2]
    language = LANGUAGES.get(language, language)
    return f"{language}-{region.upper()}" if region in REGIONS else language


def understands(info: SpeechModelInfo, language: str | None) -> bool:
    """Whether the model, or another with it, is for this language, of whichever region. None: its own."""
    languages = [info.language, *(other.language for other in info.others)]
    return not language or UNKNOWN_LANGUAGE in languages or primary(language) in map(primary, languages)


def check_language(requested: str | None, info: SpeechModelInfo) -> None:
    """Raise InvalidRequest unless the model, or another with it, understands `requested`, of whichever region:
    en fits en-US and en-GB.

    None and empty mean the model's own.
    """
    if not understands(info, requested):
        raise InvalidRequest(
            "language",
            f"Language {(requested or '')[:40]!r} is not available: the loaded speech model ({info.name}) understands "
            f"{info.language}. Leave the language out, or start with a model for yours.",
        )
