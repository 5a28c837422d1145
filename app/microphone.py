"""The microphones of this machine, as PortAudio knows them: which there are, and what one of them hears."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from engines.errors import StudioError

PIECES_A_SECOND = 10


class PortAudioMissing(StudioError):
    """The library that programs hear microphones through is not installed."""

    code = "no_portaudio"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "PortAudio is missing, through which programs hear a microphone. Type: apt-get install libportaudio2"
        )


class MicrophoneMissing(StudioError):
    """No microphone, or none of that number or name; `message` names those that there are."""

    code = "no_microphone"
    status = 404


class MicrophoneLost(StudioError):
    """It could not be opened, or was unplugged."""

    code = "microphone_lost"
    status = 503


@dataclass(frozen=True, slots=True)
class Microphone:
    """One that can be listened to."""

    number: int
    """Of the device with PortAudio, as `--device` takes it."""
    name: str
    sample_rate: int
    """Hertz; the device's own."""
    default: bool
    """Whether it is the one that this machine's owner has chosen."""


def listed(microphone: Microphone) -> str:
    """A line for people; * marks the default."""
    mark = "*" if microphone.default else " "
    return f"{mark} {microphone.number:>3}  {microphone.name} ({microphone.sample_rate} Hz)"


class Microphones:
    """Those that are plugged in. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = 0
        """How many are listened to."""

    def all(self) -> list[Microphone]:
        """Those that there are. Raises PortAudioMissing."""
        with self._lock:
            return self._all(self._looked_again())

    def find(self, wanted: int | str | None) -> Microphone:
        """By number or a part of its name; without either the default one. Raises PortAudioMissing,
        MicrophoneMissing."""
        with self._lock:
            sounddevice = self._looked_again()
            try:
                return _microphone(sounddevice.query_devices(wanted, "input"), sounddevice.default.device[0])
            except (sounddevice.PortAudioError, ValueError):
                there = self._all(sounddevice)
        if not there:
            raise MicrophoneMissing(
                "No microphone was found on this machine. Connect one and try again; launch.py mic --list shows what "
                "is there. On a rented box there is none: use the Record button of the page, which hears the "
                "microphone of the browser's machine."
            )
        names = "\n".join(listed(microphone) for microphone in there)
        raise MicrophoneMissing(f"There is no one microphone {wanted!r}. Name one of these by its number:\n{names}")

    @contextmanager
    def recording(self, microphone: Microphone, on_sound: Callable[[bytes, bool], None]) -> Iterator[None]:
        """Pass on what it hears, ten times a second, as int16 mono in the machine's byte order.

        `on_sound` gets the sound, and whether some before it was lost because this machine was too slow; it is called
        in PortAudio's thread and must not wait. Raises MicrophoneLost.
        """
        sounddevice = _portaudio()

        def on_block(sound: Any, _frames: int, _time: Any, status: Any) -> None:
            on_sound(bytes(sound), bool(status.input_overflow))

        with self._lock:
            self._heard += 1
        try:
            with sounddevice.RawInputStream(
                samplerate=microphone.sample_rate,
                blocksize=microphone.sample_rate // PIECES_A_SECOND,
                device=microphone.number,
                channels=1,
                dtype="int16",
                callback=on_block,
            ):
                yield
        except sounddevice.PortAudioError as error:
            raise MicrophoneLost(
                f"The microphone could not be opened or was lost ({error.args[0]}). Try another."
            ) from error
        finally:
            with self._lock:
                self._heard -= 1

    def _looked_again(self) -> ModuleType:
        """PortAudio, which looks for devices when it is initialised only, and whose end ends every stream."""
        sounddevice = _portaudio()
        if not self._heard:
            sounddevice._terminate()
            sounddevice._initialize()
        return sounddevice

    def _all(self, sounddevice: ModuleType) -> list[Microphone]:
        default = sounddevice.default.device[0]
        there = sounddevice.query_devices()
        return [_microphone(device, default) for device in there if device["max_input_channels"] > 0]


def _portaudio() -> ModuleType:
    try:
        import sounddevice
    except OSError as error:  # what it raises where the library is not found
        raise PortAudioMissing from error
    module: ModuleType = sounddevice
    return module


def _microphone(device: dict[str, Any], default: int) -> Microphone:
    return Microphone(device["index"], device["name"], round(device["default_samplerate"]), device["index"] == default)
