"""Schedulers keep what the model was trained with, and take the rest from the sampler's name."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from engines.requests import SamplerName
from engines.sdxl.samplers import SAMPLERS, make_scheduler

SDXL = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "use_karras_sigmas": True,
}
ZERO_SNR = {
    **SDXL,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("trained", [SDXL, ZERO_SNR])
def test_the_models_own_settings_are_kept(name: str, trained: dict[str, Any]) -> None:
    config = make_scheduler(name, trained).config
    for key in ("beta_start", "beta_end", "prediction_type", "num_train_timesteps"):
        assert config[key] == trained[key]
    if "timestep_spacing" in config:
        assert config["timestep_spacing"] == trained["timestep_spacing"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_only_samplers_named_karras_use_karras_sigmas(name: str) -> None:
    config = make_scheduler(name, SDXL).config
    assert config.get("use_karras_sigmas", False) == name.endswith("_karras")


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_last_step_of_a_zero_snr_model_has_hardly_any_signal(name: str) -> None:
    assert make_scheduler(name, ZERO_SNR).alphas_cumprod[-1] < 1e-6
    assert make_scheduler(name, SDXL).alphas_cumprod[-1] > 1e-3


def test_there_is_one_for_each_name_that_a_request_may_have() -> None:
    assert tuple(SAMPLERS) == get_args(SamplerName)
