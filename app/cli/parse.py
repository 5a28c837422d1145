"""The command line: which command, with which flags. Values are judged by `app.settings`, like the environment's.

launch.py imports this before anything is installed: only the standard library at the top.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from app.about import version
from engines.words import did_you_mean

ROOT = Path(__file__).resolve().parents[2]

COMMANDS = {
    "serve": "the page and the API (also without the word)",
    "transcriber": "the speech service alone, as it runs on Cloud Run",
    "mic": "live transcription of this machine's microphone",
    "token": "who may call: token list, token create NAME, token revoke NAME",
    "models": "models on disk: models list, models pull NAME, models prune",
    "deliveries": "what could not be delivered: deliveries list, deliveries resend ID|all",
    "tunnel": "on your own machine: bring a rented box's studio to localhost, and keep it there",
    "doctor": "what works here and what does not, a line each, with what to do",
    "train-sketch": "train the built-in image model anew",
    "test": "install what the tests need and run them all; arguments go to pytest",
}

EPILOG = """\
commands (the first word; each but test takes --help):
{commands}

Every flag has a variable, e.g. --port is STUDIO_PORT; .env.example lists them all. A flag wins over a variable.
"""


@dataclass(frozen=True)
class Command:
    """What was asked for. `flags` has settings' names and raw values; `rest` belongs to the command itself."""

    name: str
    flags: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith((".", "?")) else "."
        told = f"{message[:1].upper()}{message[1:]}{end} Type python3 launch.py --help for what there is."
        sys.stderr.write(f"{told}\n")
        sys.exit(2)


def parse(argv: Sequence[str]) -> Command:
    """Exits, as argparse does, for --help, --version, and what cannot be understood."""
    first = argv[0] if argv else ""
    if first in ("test", "mic", "models", "deliveries", "token", "tunnel", "doctor", "train-sketch"):
        return Command(first, rest=list(argv[1:]))
    if first in COMMANDS:
        argv = argv[1:]
    elif first and not first.startswith("-"):
        _parser("serve").error(f"there is no command {first!r}.{did_you_mean(first, COMMANDS)}")
    name = first if first in COMMANDS else "serve"
    parser = _parser(name)
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        parser.error(f"there is no flag {unknown[0]}.{did_you_mean(unknown[0].partition('=')[0], flags)}")
    return Command(name, {name: value for name, value in vars(known).items() if value is not None})


def run(command: Command) -> int:
    """Do it. Imports stay inside, so that each command loads only its own.

    The requirements are installed by now, but for `tunnel`, which needs none, and `doctor`, which looks for them.
    """
    if command.name == "tunnel":
        from app.cli import tunnel

        return tunnel.main(command.rest, env_file=ROOT / ".env")
    if command.name == "doctor":
        from app.cli import doctor

        return doctor.main(command.rest, env_file=ROOT / ".env")
    if command.name == "serve":
        # Before anything else is imported: what the process for pictures has to import takes as long as all of ours.
        from engines.errors import EngineCrashed
        from engines.sdxl.start import start

        try:
            pictures = start()
        except EngineCrashed as crashed:
            sys.stderr.write(f"{crashed}\n")
            return 1
    from app.settings.fields import load, load_data, load_transcriber
    from app.settings.report import SettingsRefused

    try:
        if command.name == "transcriber":
            from engines.imports import uncollected

            with uncollected():
                from app.cli import transcriber

            return transcriber.main(load_transcriber(command.flags, env_file=ROOT / ".env"))
        if command.name == "token":
            from app.cli import token

            # Not all settings: a studio that is to be reached from elsewhere does not start before it has a token.
            return token.main(command.rest, load_data(env_file=ROOT / ".env"))
        settings = load(command.flags, env_file=ROOT / ".env")
    except SettingsRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    if command.name == "mic":
        from app.cli import mic

        return mic.main(command.rest, settings)
    if command.name == "models":
        from app.cli import models

        return models.main(command.rest, settings.models_dir)
    if command.name == "deliveries":
        from app.cli import deliveries

        return deliveries.main(command.rest, settings.data_dir)
    from app.cli import serve

    return serve.main(settings, pictures)


def _parser(name: str) -> _Parser:
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:<{width}}{told}" for name, told in COMMANDS.items())
    parser = _Parser(
        prog="python3 launch.py" if name == "serve" else f"python3 launch.py {name}",
        description="Carrot Studio: avatars, hero images and transcription, as a page and an API.",
        epilog=EPILOG.format(commands=commands) if name == "serve" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"Carrot Studio {version()}")
    parser.add_argument("--host", help="address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", help="port to listen on" + (" (7860)" if name == "serve" else " (8080)"))
    parser.add_argument("--vosk-model", metavar="PATH", type=_path, help="folder of a Vosk model")
    if name == "serve":
        parser.add_argument(
            "--image-model", metavar="auto|sdxl|sketch|PATH|OWNER/NAME", type=_image_model, help="default: auto"
        )
        parser.add_argument("--speech", metavar="auto|vosk|cloud-run", help="default: auto")
    return parser


def _path(value: str) -> str:
    """A path typed in a shell starts where the shell is; in the environment it starts at the project's folder."""
    return str(Path(value).expanduser().absolute())


def _image_model(value: str) -> str:
    """Words and hub ids stay as they are."""
    from engines.weights.names import is_hub_id

    return value if value in ("auto", "sdxl", "sketch") or is_hub_id(value) else _path(value)
