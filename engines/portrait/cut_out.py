"""Parts people from what is behind them, with MediaPipe's Selfie Segmentation (Google, Apache-2.0).

The model sees a picture at 256 x 256 pixels and says of each how likely it belongs to a person; plain.py adds what it
misses before a plain background, and refine.py makes soft edges. It was made for photographs of people near a camera.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from PIL import Image

from engines.errors import ModelInvalid, NobodyFound
from engines.portrait.network import run
from engines.portrait.plain import completed
from engines.portrait.refine import cleaned, refined
from engines.portrait.tflite import Graph, Numbers, read_graph

MODEL_FILE = "selfie_segmentation.tflite"

LEAST = 0.03
"""Of a picture's area: what is smaller is nobody, or a part of somebody whom the model does not know for one."""


class CutOut:
    """The model in `folder`, read when it is first needed. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / MODEL_FILE
        self._lock = threading.Lock()
        self._graph: Graph | None = None

    def __call__(self, picture: Image.Image) -> Image.Image:
        """The people in a picture, in RGBA of its size, in their own colours up to their edges.

        Raises NobodyFound for a picture without any, ModelInvalid for a file that is not the model.
        """
        picture = picture.convert("RGB")
        alpha = refined(picture, self.mask(picture))
        if float(alpha.mean()) < LEAST:
            raise NobodyFound
        return Image.fromarray(np.dstack([cleaned(picture, alpha), (alpha * 255).round().astype(np.uint8)]))

    def mask(self, picture: Image.Image) -> Numbers:
        """How likely each pixel is a person's, 0 to 1, at the model's own size. Raises ModelInvalid."""
        try:
            graph = self._read()
            height, width = graph.size
            small = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
            seen: Numbers = np.asarray(small, np.float32) / np.float32(255)
            return completed(seen, run(graph, seen)[..., 0])
        except (OSError, ValueError, LookupError) as error:
            raise ModelInvalid(
                f"{MODEL_FILE} cannot be used: {error}. Delete its folder among the models, and pull it again."
            ) from error

    def _read(self) -> Graph:
        with self._lock:
            if self._graph is None:
                self._graph = read_graph(self._file.read_bytes())
            return self._graph
