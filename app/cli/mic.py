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

from app.microphone import PIECES_A_SECOND, Microphones, listed
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

WRITERS: dict[str, Callable[[Transcript], str]] = {
    ".srt": to_srt,
    ".vtt": to_vtt,
    ".txt": lambda transcript: f"{transcript.text}\n",
    ".json": lambda transcript: f"{transcript.model_dump_json(indent=2)}\n",
}

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
    there = Microphones()
    try:
        if options.list:
            found = "\n".join(map(listed, there.all()))
            print(found or "No microphone was found on this machine.")
            return DONE
        return _listen(there, options, settings)
    except StudioError as error:
        return _fail(str(error))


def _listen(there: Microphones, options: argparse.Namespace, settings: Settings) -> int:
    microphone = there.find(options.device)
    speech = build_speech(settings)
    pieces: Queue[bytes] = Queue(MAX_BEHIND)
    lost, stop = Event(), Event()

    def on_sound(sound: bytes, overflow: bool) -> None:
        if stop.is_set():
            return
        try:
            pieces.put_nowait(sound)
        except Full:
            lost.set()
        if overflow:
            lost.set()

    screen = _Screen()
    segments: list[Segment] = []
    seconds = 0.0
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        asked = {"language": options.language, "vocabulary": options.vocabulary}
        request = parse(ListenRequest, {"sample_rate": microphone.sample_rate, **asked})
        print(f"Loading {speech.info.label} ...", file=sys.stderr)
        with (
            closing(speech),
            closing(speech.listen(request, Event())) as session,
            there.recording(microphone, on_sound),
        ):
            print(f"Listening to {microphone.name} at {microphone.sample_rate} Hz. Ctrl-C stops.", file=sys.stderr)
            for heard in _heard(session, pieces, stop, screen):
                segments += heard.segments
                seconds = heard.seconds
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
        "--vocabulary",
        action="append",
        default=[],
        metavar="PHRASE",
        help="nothing but this is listened for; repeat it for further phrases",
    )
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
