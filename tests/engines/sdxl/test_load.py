"""Models in their real layouts, and those that are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from engines.errors import InvalidRequest, ModelInvalid, ModelMissing, OutOfMemory
from engines.events import Progress
from engines.sdxl.engine import SdxlEngine
from tests.engines.sdxl.conftest import Generate, difference, ignore, pixels, request


@pytest.fixture
def copy(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def checkpoint(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single-file checkpoint, its configuration beside it."""
    from diffusers import StableDiffusionXLPipeline

    from tests.tiny_sdxl import write_checkpoint, write_checkpoint_config

    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint_config(model_folder, folder / "tiny")
    return write_checkpoint(StableDiffusionXLPipeline.from_pretrained(model_folder), folder / "tiny.safetensors")


def test_a_folder_loads_without_a_word(model_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = SdxlEngine(model_folder, "cpu")
    engine.generate(request("word " * 100), None, ignore, Event())
    assert capfd.readouterr() == ("", "")


def test_a_folder_in_half_precision_runs_in_full_on_the_cpu(
    model_folder: Path, tmp_path: Path, generate: Generate
) -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    half = StableDiffusionXLPipeline.from_pretrained(model_folder, dtype=torch.float16)
    half.save_pretrained(tmp_path / "half", variant="fp16", safe_serialization=True)
    result = SdxlEngine(tmp_path / "half", "cpu").generate(request(), None, ignore, Event())
    assert difference(pixels(result), pixels(generate())) <= 10


def test_a_single_file_gives_the_folders_picture(checkpoint: Path, generate: Generate) -> None:
    engine = SdxlEngine(checkpoint, "cpu")
    assert engine.info.name == "tiny"
    # Sums are rounded otherwise where the weights lie at other addresses.
    assert difference(pixels(engine.generate(request(), None, ignore, Event())), pixels(generate())) <= 1


def test_a_single_file_without_its_configuration_offline(checkpoint: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(checkpoint, tmp_path / "alone.safetensors"))
    with pytest.raises(ModelMissing, match=r"huggingface\.co, or put them into the folder .*/alone"):
        SdxlEngine(alone, "cpu", offline=True).load()


@pytest.mark.parametrize("suffix", [".ckpt", ".bin", ".pt"])
def test_a_pickle_file_is_refused_unread(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelInvalid, match=r"can run any program .* \.safetensors version, or convert it"):
        SdxlEngine(file, "cpu").load()


def test_a_folder_with_pickled_weights_is_refused(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(ModelInvalid, match=r"unet has its weights only as diffusion_pytorch_model\.bin: pickle files"):
        SdxlEngine(copy, "cpu").load()


def damage_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def other_kind(folder: Path) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def no_kind(folder: Path) -> None:
    (folder / "model_index.json").write_text("[]")


def no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def no_weights(folder: Path) -> None:
    shutil.rmtree(folder / "vae")


def cut_weights(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def cut_text_weights(folder: Path) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def wrong_shapes(folder: Path) -> None:
    file = folder / "unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "block_out_channels": [16, 64]}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_index, "not readable as JSON"),
        (other_kind, "holds a StableDiffusionPipeline: this engine runs SDXL"),
        (no_kind, "names no pipeline"),
        (no_index, "has no model_index.json"),
        (no_weights, "vae has no .safetensors weights: the model is incomplete"),
        (cut_weights, "damaged or do not fit"),
        (cut_text_weights, "damaged or do not fit"),
        (wrong_shapes, "damaged or do not fit"),
    ],
)
def test_folders_that_cannot_be_used(copy: Path, damage: Callable[[Path], None], says: str) -> None:
    damage(copy)
    with pytest.raises(ModelInvalid) as caught:
        SdxlEngine(copy, "cpu").load()
    assert says in str(caught.value)
    assert str(copy) in str(caught.value)


def test_checkpoints_that_cannot_be_used(checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ModelInvalid, match="damaged"):
        SdxlEngine(damaged, "cpu").load()

    save_file({"cond_stage_model.x": torch.zeros(1)}, tmp_path / "sd15.safetensors")
    with pytest.raises(ModelInvalid, match="not an SDXL base checkpoint"):
        SdxlEngine(tmp_path / "sd15.safetensors", "cpu").load()

    tensors = load_file(checkpoint)
    del tensors["conditioner.embedders.1.model.text_projection"]
    save_file(tensors, tmp_path / "incomplete.safetensors")
    shutil.copytree(checkpoint.with_suffix(""), tmp_path / "incomplete")
    with pytest.raises(ModelInvalid, match="lacks text_encoder_2's text_projection"):
        SdxlEngine(tmp_path / "incomplete.safetensors", "cpu").load()

    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(ModelInvalid, match="is no image model"):
        SdxlEngine(tmp_path / "notes.txt", "cpu").load()


@pytest.mark.parametrize("model", ["somebody/no-such-model", Path("no/such/folder"), "/no/such.safetensors"])
def test_a_model_that_is_not_here(model: str | Path) -> None:
    with pytest.raises(ModelMissing, match="--image-model PATH"):
        SdxlEngine(model, "cpu", offline=True).load()


@pytest.mark.parametrize(
    ("file", "ending"),
    [
        ("unet/diffusion_pytorch_model.safetensors", "conv_in.bias"),
        ("vae/diffusion_pytorch_model.safetensors", "post_quant_conv.weight"),
        ("text_encoder/model.safetensors", "final_layer_norm.weight"),
        ("text_encoder_2/model.safetensors", "text_projection.weight"),
    ],
)
def test_a_folder_that_lacks_a_tensor_is_refused(copy: Path, file: str, ending: str) -> None:
    """The libraries would make it up, at random, without a word."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / file)
    (lost,) = (name for name in tensors if name.endswith(ending))
    del tensors[lost]
    save_file(tensors, copy / file, {"format": "pt"})
    part = file.split("/")[0]
    with pytest.raises(
        ModelInvalid, match=rf"{copy} lacks {part}'s \S*{ending}: the model is incomplete, get it again"
    ):
        SdxlEngine(copy, "cpu").load()


def test_weights_under_the_names_that_older_libraries_wrote_are_complete(copy: Path, generate: Generate) -> None:
    """As in SDXL base's own files: a prefix, and position ids, which are no weights."""
    import torch
    from safetensors.torch import load_file, save_file

    file = copy / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": data for name, data in load_file(file).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, file, {"format": "pt"})
    result = SdxlEngine(copy, "cpu").generate(request(), None, ignore, Event())
    assert difference(pixels(result), pixels(generate())) == 0


def test_load_tells_how_far_it_is(model_folder: Path) -> None:
    told: list[Progress] = []
    engine = SdxlEngine(model_folder, "cpu")
    engine.load(told.append)
    engine.load(told.append)
    assert told == [Progress("load", 0, 1, 0.0), Progress("load", 1, 1, 1.0)]


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_a_device_that_is_not_here(model_folder: Path, device: str) -> None:
    with pytest.raises(ModelInvalid, match=f"'{device}' cannot be used"):
        SdxlEngine(model_folder, device).load()


def test_too_little_memory_to_load(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from diffusers import UNet2DConditionModel

    def fail(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    engine = SdxlEngine(model_folder, "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(UNet2DConditionModel, "from_pretrained", fail)
        with pytest.raises(OutOfMemory, match="does not fit into the memory of cpu"):
            engine.load()
    engine.load()


def test_sdxls_own_vae_is_replaced_in_half_precision_or_kept_in_full(copy: Path, model_folder: Path) -> None:
    import torch

    from engines.sdxl.load import SDXL_LATENT_SCALE, load

    config = copy / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scaling_factor": SDXL_LATENT_SCALE}))
    asked = []

    def folder_of(hub_id: str) -> Path:
        asked.append(hub_id)
        if hub_id == "nobody/no-vae":
            raise ModelMissing("no connection")
        return model_folder / "vae"

    for fixed_vae in ("somebody/vae", model_folder / "vae"):
        fixed = load(copy, "cpu", fixed_vae, folder_of=folder_of, dtype=torch.float16)
        assert (fixed.vae.dtype, fixed.vae.config.scaling_factor) == (torch.float16, 1.0)
    assert asked == ["somebody/vae"]
    for absent in ("nobody/no-vae", copy / "nothing"):
        own = load(copy, "cpu", absent, folder_of=folder_of, dtype=torch.float16)
        assert (own.vae.dtype, own.vae.config.scaling_factor) == (torch.float32, SDXL_LATENT_SCALE)


def test_load_is_idempotent_and_close_can_be_undone(model_folder: Path, generate: Generate) -> None:
    engine = SdxlEngine(model_folder, "cpu")
    engine.close()
    engine.load()
    engine.load()
    engine.close()
    engine.close()
    assert difference(pixels(engine.generate(request(), None, ignore, Event())), pixels(generate())) == 0


def test_generate_refuses_what_check_refuses(engine: SdxlEngine) -> None:
    with pytest.raises(InvalidRequest, match="choose a smaller"):
        engine.generate(request("x", width=2048, height=2048), None, ignore, Event())


def test_an_sdxl_engine_is_an_image_engine(engine: SdxlEngine) -> None:
    from engines.protocols import ImageEngine

    as_protocol: ImageEngine = engine
    assert as_protocol.info.name == "tiny"
