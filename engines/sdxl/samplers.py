"""Samplers by the names that the field uses, made from what the model itself was trained with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

DEFAULT_SAMPLER = "dpmpp_2m_karras"

TRAINED_WITH = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
    "timestep_spacing",
    "steps_offset",
)
"""Scheduler settings that belong to the model. All others belong to the sampler, and are not taken from the model."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """A diffusers scheduler class by name (so that listing samplers imports nothing) and its own settings."""

    scheduler: str
    settings: Mapping[str, Any]


def _sampler(scheduler: str, **settings: Any) -> Sampler:
    return Sampler(scheduler, MappingProxyType(settings))


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "dpmpp_2m_karras": _sampler("DPMSolverMultistepScheduler", use_karras_sigmas=True),
        "dpmpp_2m": _sampler("DPMSolverMultistepScheduler"),
        "dpmpp_2m_sde_karras": _sampler(
            "DPMSolverMultistepScheduler", algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
        ),
        "dpmpp_2m_sde": _sampler("DPMSolverMultistepScheduler", algorithm_type="sde-dpmsolver++"),
        "dpmpp_sde_karras": _sampler(
            "DPMSolverSinglestepScheduler",
            algorithm_type="sde-dpmsolver++",
            use_karras_sigmas=True,
            lower_order_final=True,
        ),
        "dpmpp_sde": _sampler("DPMSolverSinglestepScheduler", algorithm_type="sde-dpmsolver++", lower_order_final=True),
        "euler": _sampler("EulerDiscreteScheduler"),
        "euler_a": _sampler("EulerAncestralDiscreteScheduler"),
        "heun": _sampler("HeunDiscreteScheduler"),
        "ddim": _sampler("DDIMScheduler", clip_sample=False, set_alpha_to_one=False),
        "unipc": _sampler("UniPCMultistepScheduler"),
    }
)
"""One for each `engines.requests.SamplerName`."""


def make_scheduler(name: str, model_config: Mapping[str, Any]) -> Any:
    """A fresh diffusers scheduler, one of SAMPLERS, for the model whose own scheduler has `model_config`."""
    import diffusers

    sampler = SAMPLERS[name]
    scheduler = getattr(diffusers, sampler.scheduler)
    accepted = inspect.signature(scheduler).parameters
    trained = {key: model_config[key] for key in TRAINED_WITH if key in model_config}
    if trained.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in accepted:
        trained["trained_betas"] = _zero_snr_betas(trained)
    return scheduler(**{key: value for key, value in trained.items() if key in accepted}, **sampler.settings)


def _zero_snr_betas(trained: Mapping[str, Any]) -> list[float]:
    """The betas of a zero-terminal-SNR model, for schedulers that cannot rescale them on their own.

    Taken from a scheduler that can: it also keeps the last step's signal just above zero, so that no sigma is infinite.
    """
    import diffusers
    import torch

    multistep = diffusers.DPMSolverMultistepScheduler
    accepted = inspect.signature(multistep).parameters
    kept = multistep(**{key: value for key, value in trained.items() if key in accepted}).alphas_cumprod.double()
    before = torch.cat([torch.ones(1, dtype=kept.dtype), kept[:-1]])
    return [float(beta) for beta in 1 - kept / before]
