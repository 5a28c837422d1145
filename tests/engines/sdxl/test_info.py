"""What is known of a model before its weights are read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.errors import ModelInvalid
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.samplers import SAMPLERS

GOOD = {
    "name": "sketch",
    "demo": True,
    "label": "A sketch",
    "sizes": [[256, 256], [448, 256]],
    "num_inference_steps": 12,
    "guidance_scale": 4,
    "sampler": "euler",
    "samplers": ["euler", "ddim"],
}


def described(folder: Path, **changes: Any) -> SdxlEngine:
    folder.mkdir(exist_ok=True)
    (folder / "studio.json").write_text(json.dumps({**GOOD, **changes}))
    return SdxlEngine(folder, "cpu")


def test_studio_json_describes_a_fixed_size_model(tmp_path: Path) -> None:
    info = described(tmp_path).info
    assert (info.name, info.label, info.demo, info.device) == ("sketch", "A sketch (demo model)", True, "cpu")
    assert info.sizes == ((256, 256), (448, 256))
    assert info.fixed_sizes
    assert info.own_recipe
    assert (info.num_inference_steps, info.guidance_scale, info.sampler) == (12, 4.0, "euler")
    assert info.samplers == ("euler", "ddim")
    assert info.max_pixels == 2048 * 2048


def test_studio_json_may_be_short(tmp_path: Path) -> None:
    (tmp_path / "studio.json").write_text('{"sizes": [[64, 64]]}')
    info = SdxlEngine(tmp_path, "cpu").info
    assert (info.name, info.label, info.demo) == (tmp_path.name, tmp_path.name, False)
    assert info.samplers == tuple(SAMPLERS)
    assert info.sampler == "dpmpp_2m_karras"


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("name", 5, "a line of text"),
        ("name", " ", "a line of text"),
        ("label", "two\nlines", "a line of text"),
        ("demo", "yes", "true or false"),
        ("sizes", [], "multiple of 8"),
        ("sizes", [[100, 100]], "multiple of 8"),
        ("sizes", [[256]], "multiple of 8"),
        ("sizes", None, "multiple of 8"),
        ("num_inference_steps", 0, "from 1 to 150"),
        ("num_inference_steps", 2.5, "whole number"),
        ("guidance_scale", True, "from 1 to 30"),
        ("sampler", "heun", "one of euler, ddim"),
        ("samplers", ["euler", "magic"], "names out of"),
    ],
)
def test_a_wrong_studio_json_is_refused_by_file_and_key(tmp_path: Path, key: str, value: Any, wanted: str) -> None:
    with pytest.raises(ModelInvalid) as caught:
        described(tmp_path, **{key: value})
    message = str(caught.value)
    assert str(tmp_path / "studio.json") in message
    assert repr(key) in message
    assert json.dumps(value) in message
    assert wanted in message


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_an_unreadable_studio_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "studio.json").write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"studio\.json"):
        SdxlEngine(tmp_path, "cpu")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("stabilityai/stable-diffusion-xl-base-1.0", "stabilityai/stable-diffusion-xl-base-1.0"),
        ("/models/juggernaut_v9.safetensors", "juggernaut_v9"),
    ],
)
def test_without_studio_json_a_model_is_sdxl(model: str, name: str) -> None:
    info = SdxlEngine(model, "cpu").info
    assert info.name == name
    assert (info.num_inference_steps, info.guidance_scale, info.sampler) == (30, 5.0, "dpmpp_2m_karras")
    assert not info.fixed_sizes
    assert not info.own_recipe
    assert not info.demo
    assert (1024, 1024) in info.sizes
    assert all(width % 8 == height % 8 == 0 for width, height in info.sizes)
    assert len(set(info.sizes)) == len(info.sizes)


def test_a_gpu_makes_larger_pictures() -> None:
    assert SdxlEngine("a/b", "cpu").info.max_pixels == 1536 * 1024
    assert SdxlEngine("a/b", "cuda:0").info.max_pixels == 2048 * 2048
    assert SdxlEngine("a/b", "cuda:0").info.device == "cuda:0"


def test_info_and_check_import_no_torch() -> None:
    """The page must be up before torch is; and a machine without a GPU driver is known to have no GPU without it."""
    program = (
        "import sys\n"
        "from engines.devices import find_device\n"
        "from engines.sdxl.engine import SdxlEngine\n"
        "from engines.requests import ImageRequest\n"
        "engine = SdxlEngine('a/b', find_device('auto', possible=lambda: False).name)\n"
        "engine.check(ImageRequest(prompt='a cat', seed=1), None)\n"
        "assert engine.info.device == 'cpu'\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'compel', 'numpy', 'pyparsing'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
