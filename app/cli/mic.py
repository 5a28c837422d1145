"""`python3 launch.py mic`: what is said into this machine's microphone, as text in the terminal while it is said."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event
from types import ModuleType
from typing import Any

from app.settings.fields import Settings
from app.wiring import build_speech
from app.work.live import live_transcript
from engines.errors import StudioError
from engines.protocols import LiveSession
from engines.requests import ListenRequest, parse
from engines.results import Heard, Segment, Transcript
from engines.speech.captions import to_srt, to_vtt

DONE, FAILED, MISUSED = 0, 1, 2
"""Exit codes."""

NO_PORTAUDIO = "PortAudio is missing, through which programs hear a microphone. Type: apt-get install libportaudio2"
NO_DEVICE = (
    "No microphone was found on this machine. Connect one and start again; --list shows what is there. On a rented "
    "box there is none: use the Record button of the page, which hears the microphone of the browser's machine."
)

WRITERS: dict[str, Callable[[Transcript], str]] = {
    ".srt": to_srt,
    ".vtt": to_vtt,
    ".txt": lambda transcript: f"{transcript.text}\n",
    ".json": lambda transcript: f"{transcript.model_dump_json(indent=2)}\n",
}

PIECES_A_SECOND = 10
MAX_BEHIND = 60 * PIECES_A_SECOND
"""Pieces of sound that may wait on a machine that is busy for a moment: a minute."""
METER = " ▁▂▃▄▅▆▇█"
FULL = 32_767
GREY, PLAIN, CLEAR = "\x1b[90m", "\x1b[0m", "\r\x1b[K"


def main(argv: Sequence[str], settings: Settings) -> int:
    """Listen until Ctrl-C."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or has shown the help
        return MISUSED if stop.code else DONE
    try:
        import sounddevice
    except OSError:  # what sounddevice raises where its library is not found
        return _fail(NO_PORTAUDIO)
    try:
        if options.list:
            print(_inputs(sounddevice) or NO_DEVICE)
            return DONE
        device = sounddevice.query_devices(options.device, "input")
    except (sounddevice.PortAudioError, ValueError):
        there = _inputs(sounddevice)
        if not there:
            return _fail(NO_DEVICE)
        return _fail(f"There is no one microphone {options.device!r}. Name one of these by its number:\n{there}")
    return _listen(sounddevice, device, options, settings)


def _listen(sounddevice: ModuleType, device: dict[str, Any], options: argparse.Namespace, settings: Settings) -> int:
    speech = build_speech(settings)
    pieces: Queue[bytes] = Queue(MAX_BEHIND)
    lost, stop = Event(), Event()

    def on_sound(sound: Any, _frames: int, _time: Any, status: Any) -> None:
        """In PortAudio's thread, which must not wait."""
        if stop.is_set():
            return
        try:
            pieces.put_nowait(bytes(sound))
        except Full:
            lost.set()
        if status.input_overflow:
            lost.set()

    rate = round(device["default_samplerate"])
    screen = _Screen()
    segments: list[Segment] = []
    seconds = 0.0
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        request = parse(ListenRequest, {"sample_rate": rate, "language": options.language})
        print(f"Loading {speech.info.label} ...", file=sys.stderr)
        with (
            closing(speech),
            closing(speech.listen(request, Event())) as session,
            sounddevice.RawInputStream(
                samplerate=rate,
                blocksize=rate // PIECES_A_SECOND,
                device=device["index"],
                channels=1,
                dtype="int16",
                callback=on_sound,
            ),
        ):
            print(f"Listening to {device['name']} at {rate} Hz. Ctrl-C stops.", file=sys.stderr)
            for heard in _heard(session, pieces, stop, screen):
                segments += heard.segments
                seconds = heard.seconds
    except sounddevice.PortAudioError as error:
        return _fail(
            f"The microphone could not be opened or was lost ({error.args[0]}). Try another: --list, --device."
        )
    except StudioError as error:
        return _fail(str(error))
    finally:
        signal.signal(signal.SIGINT, before)
    if lost.is_set():
        print("This machine was too slow for some of the sound, which is missing.", file=sys.stderr)
    return _save(options.save, live_transcript(speech.info, segments, seconds)) if options.save else DONE


def _heard(session: LiveSession, pieces: Queue[bytes], stop: Event, screen: _Screen) -> Iterator[Heard]:
    """What is heard, shown as it comes, of all that was said before `stop`."""
    while not (stop.is_set() and pieces.empty()):
        try:
            sound = pieces.get(timeout=1 / PIECES_A_SECOND)
        except Empty:
            continue
        heard = session.accept(sound)
        screen.show(heard, _peak(sound))
        yield heard
    heard = session.flush()
    screen.show(heard, 0.0)
    yield heard


class _Screen:
    """Settled text a line an utterance; on a terminal, below it the level and what is still open, in grey."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()

    def show(self, heard: Heard, peak: float) -> None:
        clear = CLEAR if self._live else ""
        for segment in heard.segments:
            minutes, seconds = divmod(int(segment.start), 60)
            print(f"{clear}{minutes:02}:{seconds:02}  {segment.text}", flush=True)
        if self._live:
            meter = METER[round(peak**0.5 * (len(METER) - 1))]
            # The last words count; a line that wraps could not be written over.
            room = shutil.get_terminal_size().columns - 5
            print(f"{CLEAR}{meter}  {GREY}{heard.partial[-room:]}{PLAIN}", end="", flush=True)


def _peak(sound: bytes) -> float:
    """The loudest sample of 16 bit sound, 0 to 1."""
    samples = array("h", sound)
    return min(1.0, max(max(samples, default=0), -min(samples, default=0)) / FULL)


def _inputs(sounddevice: ModuleType) -> str:
    """A line for each device that can be listened to; * marks the default."""
    default = sounddevice.default.device[0]
    return "\n".join(
        f"{'*' if device['index'] == default else ' '} {device['index']:>3}  {device['name']} "
        f"({round(device['default_samplerate'])} Hz)"
        for device in sounddevice.query_devices()
        if device["max_input_channels"] > 0
    )


def _save(path: Path, transcript: Transcript) -> int:
    try:
        path.write_text(WRITERS[path.suffix.lower()](transcript), encoding="utf-8")
    except OSError as error:
        return _fail(f"{path} could not be written ({error.strerror}). What was said: {transcript.text}")
    print(f"Saved {path}", file=sys.stderr)
    return DONE


def _fail(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py mic", description="Live transcription of this machine's microphone. Ctrl-C stops."
    )
    parser.add_argument("--list", action="store_true", help="show the microphones of this machine")
    parser.add_argument(
        "--device", type=_device, metavar="NUMBER|NAME", help="which of them; a part of its name will do"
    )
    parser.add_argument("--language", help="as BCP 47, e.g. en; default: the model's own")
    parser.add_argument(
        "--save", type=_writable, metavar="FILE", help="write the transcript: .srt, .vtt, .txt or .json"
    )
    return parser


def _device(value: str) -> int | str:
    return int(value) if value.isdecimal() else value


def _writable(value: str) -> Path:
    """Looked at before anybody speaks."""
    path = Path(value).expanduser()
    if path.suffix.lower() not in WRITERS:
        raise argparse.ArgumentTypeError(f"{value} must end in {', '.join(WRITERS)}.")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.absolute().parent} to write {path.name} to.")
    return path
