"""What engines tell, as JSON."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image

from engines.events import PREVIEW_SIDE, Event, Preview, Progress, SegmentHeard
from engines.results import Segment, Word

WORD = Word(word="hello", start=0.1, end=0.5, confidence=0.9)
SEGMENT = Segment(text="hello", start=0.1, end=0.5, words=(WORD,))


@pytest.mark.parametrize(
    "event", [Progress("denoise", 1, 3, 1 / 3), Preview(Image.new("RGB", (8, 8)), 1, 3), SegmentHeard(SEGMENT)]
)
def test_an_event_is_json_and_stays_the_same_through_it(event: Event) -> None:
    assert json.loads(json.dumps(event.data())) == event.data()


def test_a_preview_is_a_small_webp_that_is_made_once() -> None:
    preview = Preview(Image.new("RGB", (1000, 500), (200, 30, 30)), 1, 3)
    head, _, data = preview.uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (PREVIEW_SIDE, PREVIEW_SIDE // 2))
    assert preview.data()["image"] is preview.uri
