"""SDXL behind the ImageEngine protocol. Light to import: torch and its like come in with `load`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from engines.errors import ModelMissing
from engines.events import OnEvent, OnProgress, Progress, ignore
from engines.requests import ImageRequest
from engines.results import ImageModelInfo, ImageResult, Unused
from engines.sdxl.check import check_request
from engines.sdxl.info import read_info
from engines.sdxl.plan import make_plan
from engines.weights.names import is_hub_id

if TYPE_CHECKING:
    from engines.sdxl.load import Loaded
    from engines.sdxl.preview import LatentColours
    from engines.weights.store import ModelStore


class SdxlEngine:
    """One SDXL model on one device. `load` and `check` may be called from any thread, `generate` from one at a time."""

    def __init__(
        self,
        model: str | Path,
        device: str,
        *,
        store: ModelStore | None = None,
        fp16_vae: str | Path | None = None,
        offline: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`model`: a hub id, a model folder, or a .safetensors file. `device`: as `find_device` names it.

        `store`: where hub models are kept and fetched to; None: there are none. `fp16_vae`: folder or hub id of the VAE
        that replaces SDXL's own on CUDA; None: the usual one. `offline`: never ask the hub. `clock`: seconds;
        previews come at its pace. Raises ModelInvalid for a studio.json that cannot be used; nothing else is read yet.
        """
        self._model = model
        self._store = store
        self._fp16_vae = fp16_vae
        self._offline = offline
        self._clock = clock
        self._info = read_info(model, device)
        self._lock = Lock()
        self._loaded: Loaded | None = None
        self._colours: LatentColours | None = None

    @property
    def info(self) -> ImageModelInfo:
        return self._info

    def load(self, on_progress: OnProgress = ignore) -> None:
        """Read the weights onto the device, once; those of a hub model are fetched if they are not here.

        Raises ModelMissing, ModelInvalid, DownloadFailed, OutOfMemory.
        """
        self._get(on_progress)

    def check(self, request: ImageRequest, photo: Path | None) -> tuple[Unused, ...]:
        """Raise InvalidRequest if this model cannot serve the request; else what it will not use."""
        return check_request(request, photo, self._info)

    def generate(self, request: ImageRequest, photo: Path | None, on_event: OnEvent, cancel: Event) -> ImageResult:
        """Make the pictures; loads first if that has not been done. See the protocol for what it raises."""
        self.check(request, photo)
        loaded = self._get(ignore)
        from engines.sdxl.generate import generate
        from engines.sdxl.preview import Previews

        plan = make_plan(request, photo, self._info, loaded.pixels_per_latent)
        size = (request.width, request.height)
        previews = Previews(self._colours.picture, size, on_event, self._clock) if self._colours else None
        return generate(loaded, plan, on_event, cancel, previews)

    def close(self) -> None:
        """Free the device. A later `generate` loads again."""
        with self._lock:
            if self._loaded is None:
                return
            self._loaded = None
        from engines.sdxl.memory import free

        free()

    def _get(self, on_progress: OnProgress) -> Loaded:
        with self._lock:
            if self._loaded is None:
                from engines.sdxl.libraries import import_libraries

                import_libraries()
                from engines.sdxl.load import FP16_VAE, load
                from engines.sdxl.preview import latent_colours

                vae = FP16_VAE if self._fp16_vae is None else self._fp16_vae
                model, device = self._model, self._info.device

                def folder_of(hub_id: str) -> Path:
                    return self._folder_of(hub_id, on_progress)

                if is_hub_id(model):
                    model = folder_of(str(model))
                on_progress(Progress("load", 0, 1, 0.0))
                self._loaded = load(model, device, vae, folder_of=folder_of, offline=self._offline)
                self._colours = latent_colours(self._loaded.vae)
                on_progress(Progress("load", 1, 1, 1.0))
            return self._loaded

    def _folder_of(self, hub_id: str, on_progress: OnProgress) -> Path:
        """Where a hub model is on this machine, fetched if need be."""
        if self._store is None or self._offline:
            here = None if self._store is None else self._store.here(hub_id)
            if here is None:
                raise ModelMissing(
                    f"The model {hub_id!r} is not on this machine, and may not be downloaded now. Fetch it with "
                    f"`python3 launch.py models pull {hub_id}`, or name a model's folder with --image-model PATH."
                )
            return here
        return self._store.pull(hub_id, on_progress)
