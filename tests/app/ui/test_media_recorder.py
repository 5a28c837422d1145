"""What Chromium's MediaRecorder makes of its microphone, in each container it offers, is heard whole and in time."""

from __future__ import annotations

import base64
import itertools
import wave

import pytest
from playwright.sync_api import Playwright
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from tests.browser import chromium, microphone_flags, new_profile
from tests.engines.speech.tones import PITCHES, Heard, Track, hear, tones
from tests.serving import serving

STEP = 0.5
"""Seconds from tone to tone; the microphone repeats them."""

MICROPHONE = Track(starts=(0.1, 0.6, 1.1, 1.6), seconds=2.0)

RECORD = """
async ([webm, mp4]) => {
  const constraints = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  const stream = await navigator.mediaDevices.getUserMedia({audio: constraints});
  const wait = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000));
  const record = async (type, slice, during) => {
    const recorder = new MediaRecorder(stream, {mimeType: type});
    const parts = [];
    recorder.ondataavailable = event => parts.push(event.data);
    const stopped = new Promise(resolve => { recorder.onstop = resolve; });
    recorder.start(...slice);
    await during(recorder);
    recorder.stop();
    await stopped;
    return new Blob(parts);
  };
  const six = () => wait(6);
  const paused = async recorder => {
    await wait(2.2); recorder.pause(); await wait(1.2); recorder.resume(); await wait(2.6);
  };
  const twice = async type =>
    new Blob([await record(type, [], () => wait(3)), await record(type, [250], () => wait(3))]);
  const encoded = async blob => {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  };
  const found = {};
  for (const [name, type] of [["webm", webm], ["mp4", mp4]]) {
    if (!MediaRecorder.isTypeSupported(type)) continue;
    found[`${name} whole`] = record(type, [], six);
    found[`${name} sliced`] = record(type, [200], six);
    found[`${name} paused`] = record(type, [200], paused);
    found[`${name} twice`] = twice(type);
  }
  for (const key of Object.keys(found)) found[key] = await encoded(await found[key]);
  return found;
}
"""


async def blank(scope: Scope, receive: Receive, send: Send) -> None:
    """A page of an origin that may ask for the microphone."""
    await HTMLResponse("<!doctype html><title>Blank</title>")(scope, receive, send)


@pytest.fixture(scope="module")
def recordings(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """All at once from the same microphone: "webm" and "mp4", each in four ways."""
    folder = tmp_path_factory.mktemp("recordings")
    with wave.open(str(folder / "microphone.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes((tones(MICROPHONE) * 32_767).astype("<i2").tobytes())
    with serving(blank) as url, chromium(playwright, *microphone_flags(folder / "microphone.wav")) as browser:
        page = new_profile(browser).new_page()
        page.goto(url)
        found = page.evaluate(RECORD, ["audio/webm;codecs=opus", "audio/mp4;codecs=opus"])
    for name, content in found.items():
        (folder / name).write_bytes(base64.b64decode(content))
    return {name: hear(folder / name) for name in found}


def steps(heard: Heard) -> list[tuple[int, float]]:
    """From each tone to the next: places in the row of pitches, and seconds."""
    places = [(PITCHES.index(pitch), begin) for pitch, begin, _ in heard.tones]
    return [((b - a) % 4, second - first) for (a, first), (b, second) in itertools.pairwise(places)]


@pytest.mark.parametrize("how", ["whole", "sliced"])
@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_every_tone_is_heard_in_time(recordings: dict[str, Heard], kind: str, how: str) -> None:
    heard = recordings[f"{kind} {how}"]
    assert heard.notes == ()
    assert heard.seconds == pytest.approx(6, abs=0.7)
    assert heard.estimate == pytest.approx(heard.seconds, abs=0.3)
    assert len(heard.tones) >= 10
    # The first may be cut, and so begin late.
    for place, seconds in steps(heard)[1:]:
        # A busy machine may cost the fake microphone a moment: then tones are missing, and the times go on.
        assert seconds % STEP == pytest.approx(0, abs=0.06) or seconds % STEP == pytest.approx(STEP, abs=0.06)
        assert place == round(seconds / STEP) % 4


@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_a_pause_of_the_recorder_is_left_out_as_the_file_says(recordings: dict[str, Heard], kind: str) -> None:
    heard = recordings[f"{kind} paused"]
    assert heard.notes == ()
    assert heard.seconds == pytest.approx(6 - 1.2, abs=0.7)
    assert len(heard.tones) >= 7


@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_a_recorder_that_was_started_again_is_heard_whole(recordings: dict[str, Heard], kind: str) -> None:
    heard = recordings[f"{kind} twice"]
    assert len(heard.notes) == 1
    assert "joined on at" in heard.notes[0]
    assert heard.seconds == pytest.approx(6, abs=0.9)
    assert len(heard.tones) >= 9
