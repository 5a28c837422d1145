"""What mkdocs asks of us (mkdocs.yml names this file under `hooks`): pages that the product itself writes, and files
that the site shares with it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "app" / "ui" / "static"
ELSEWHERE = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)")
"""A link to a file of the project that is no page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not in docs/ itself."""
    written = {"presets.md": presets_page(), "models.md": models_page(), "routes.md": routes_page()}
    for name, text in written.items():
        files.append(File.generated(config, name, content=text))
    for shared in ("carrot.svg", "inter-latin.woff2"):
        files.append(File.generated(config, shared, content=(STATIC / shared).read_bytes()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name the files of the project that pages link to: the site does not have them."""
    return ELSEWHERE.sub(lambda link: f"`{link[2]}`" if link[1] in link[2] else f"{link[1]} (`{link[2]}`)", markdown)


def presets_page() -> str:
    """Every built-in preset, from presets/."""
    from app.presets import KINDS, load_presets

    presets = load_presets(ROOT / "presets")
    parts = [
        "# Presets\n\nA preset is a look: the words around your own, and the settings that suit them. Requests name "
        "one by its id as `preset`; the first of a kind is its default, and `none` leaves your words as they are.\n"
    ]
    for kind in KINDS:
        parts.append(f"## {kind.capitalize()}\n\n| id | look | size | words around yours |\n| --- | --- | --- | --- |")
        parts += [
            f"| `{one.id}` | **{one.name}**. {_cell(one.description)} | {one.width} x {one.height} "
            f"| {_cell(one.prompt)} |"
            for one in presets.of(kind)
        ]
        parts.append("")
    own = (ROOT / "presets" / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    return "\n".join([*parts, "## The file\n", own.replace("\n## ", "\n### ").strip(), ""])


def models_page() -> str:
    """Every model that `launch.py models pull` knows, from models/."""
    from engines.weights.registry import read_registry

    models = read_registry(ROOT / "models" / "registry.toml").models
    rows = [f"| `{one.name}` | {one.kind} | {_cell(one.label)} | {one.licence} |" for one in models]
    return "\n".join([*MODELS, *rows, ""])


MODELS = (
    "# Models",
    "",
    "`python3 launch.py models list` shows what is on disk, `python3 launch.py models pull NAME` fetches one, and goes",
    "on after an interruption. Only the bytes that are named in the list are taken, and no pickled weights, which can",
    "run code.",
    "",
    "Any other SDXL checkpoint works by its folder, its `.safetensors` file or its Hugging Face id (`--image-model`),",
    "any other Vosk model by its folder (`--vosk-model` or `MODEL_PATH`). A speech model hears the requests of its",
    "language.",
    "",
    "| name | kind | what it is | licence |",
    "| --- | --- | --- | --- |",
)


def routes_page() -> str:
    """Every HTTP route, from the product's own OpenAPI document."""
    parts = [
        "# Every route\n\nFrom the OpenAPI document, which a running studio serves at `/openapi.json`, and as a page "
        "to try requests on at `/docs`.\n",
        "| route | what it does | takes |",
        "| --- | --- | --- |",
    ]
    for path, methods in sorted(openapi()["paths"].items()):
        for method, route in methods.items():
            about = _cell((route.get("description") or route.get("summary", "")).partition("\n\n")[0])
            parts.append(f"| `{method.upper()} {path}` | {about} | {_cell(_takes(route))} |")
    return "\n".join([*parts, ""])


def openapi() -> dict[str, Any]:
    """The document of a studio on the built-in models; nothing is loaded or started."""
    from app.http.apps import Page, create_studio
    from app.settings.fields import Settings
    from app.wiring import build_studio, open_accounts, open_images

    with tempfile.TemporaryDirectory() as data:
        settings = Settings.model_validate({"data_dir": data, "image_model": "sketch", "speech": "vosk"})
        accounts = open_accounts(settings)
        studio = build_studio(settings, accounts, open_images(settings))
        try:
            return create_studio(studio, accounts, lambda *_: Page(lambda: None)).openapi()
        finally:
            studio.close()


def _takes(route: dict[str, Any]) -> str:
    fields = [f"`{one['name']}`" for one in route.get("parameters", [])]
    bodies = route.get("requestBody", {}).get("content", {})
    return ", ".join([*fields, *(f"a body of `{kind}`" for kind in bodies)])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
