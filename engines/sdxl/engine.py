"""SDXL behind the ImageEngine protocol. Light to import: torch and its like come in with `load`."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from engines.sdxl.device import resolve
from engines.sdxl.info import read_info
from engines.sdxl.plan import make_plan
from engines.sdxl.validate import check_request
from engines.types import ImageModelInfo, ImageRequest, ImageResult, ProgressCallback

if TYPE_CHECKING:
    from engines.sdxl.load import Loaded


class SdxlEngine:
    """One SDXL model on one device. `load` and `check` may be called from any thread, `generate` from one at a time."""

    def __init__(
        self,
        model: str | Path,
        device: str = "auto",
        *,
        fp16_vae: str | Path | None = None,
        offline: bool = False,
    ) -> None:
        """`model`: a hub id, a model folder, or a .safetensors file. `device`: auto, cpu, cuda, cuda:N or mps.

        `fp16_vae`: folder or hub id of the VAE that replaces SDXL's own on CUDA; None: the usual one. `offline`: never
        ask the hub. Raises ModelInvalid for a studio.json that cannot be used; nothing else is read yet.
        """
        self._model = model
        self._fp16_vae = fp16_vae
        self._offline = offline
        self._info = read_info(model, resolve(device))
        self._lock = Lock()
        self._loaded: Loaded | None = None

    @property
    def info(self) -> ImageModelInfo:
        return self._info

    def load(self) -> None:
        """Read the weights onto the device, once. Raises ModelMissing, ModelInvalid, OutOfMemory."""
        self._get()

    def check(self, request: ImageRequest) -> None:
        """Raise InvalidRequest if this model cannot serve the request."""
        check_request(request, self._info)

    def generate(self, request: ImageRequest, on_progress: ProgressCallback, cancel: Event) -> ImageResult:
        """Make the pictures; loads first if that has not been done. See the protocol for what it raises."""
        self.check(request)
        loaded = self._get()
        from engines.sdxl.generate import generate

        return generate(loaded, make_plan(request, self._info, loaded.pixels_per_latent), on_progress, cancel)

    def close(self) -> None:
        """Free the device. A later `generate` loads again."""
        with self._lock:
            if self._loaded is None:
                return
            self._loaded = None
        from engines.sdxl.memory import free

        free()

    def _get(self) -> Loaded:
        with self._lock:
            if self._loaded is None:
                from engines.sdxl.quiet import be_quiet

                be_quiet()
                from engines.sdxl.load import FP16_VAE, load

                vae = FP16_VAE if self._fp16_vae is None else self._fp16_vae
                self._loaded = load(self._model, self._info.device, vae, offline=self._offline)
            return self._loaded
