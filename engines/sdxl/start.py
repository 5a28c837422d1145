"""Starts the process that pictures are made in. Standard library only, so that it can be the first thing of a start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from engines.child import Child, spawn

KEPT_PREFIXES = (
    *("CUDA_", "NVIDIA_", "HIP_", "HSA_", "ROCR_", "PYTORCH_", "TORCH", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"),
    *("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "DIFFUSERS_", "LD_", "LC_", "PYTHON", "SSL_CERT_", "XDG_"),
)
KEPT = frozenset(
    {"HOME", "LANG", "LOGNAME", "PATH", "SYSTEMROOT", "TMPDIR", "TZ", "USER", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}
)
PROXIES = frozenset({"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
"""Variables that it gets: what torch and its like read, and what downloads of weights need, HF_TOKEN among it. The
studio's own tokens and keys do not belong where strangers' photos are decoded."""


def start() -> Child:
    """Raises EngineCrashed where the system has no room for a process."""
    return Child(partial(spawn, "engines.sdxl.worker", environment=kept(os.environ)))


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment the process gets."""
    found = {
        name: value
        for name, value in environment.items()
        if name.startswith(KEPT_PREFIXES) or name in KEPT or name.upper() in PROXIES
    }
    # Read when torch is loaded. Threads that wait by spinning take each other's cores: on a busy machine of two, one
    # small picture took minutes instead of seconds. Threads that never spin (OMP_WAIT_POLICY=PASSIVE) take 1.6 times
    # as long on a quiet one. So a short spin, then sleep; bench/cpu_threads.py measures it. A user's own policy stands.
    if "OMP_WAIT_POLICY" not in found:
        found.setdefault("GOMP_SPINCOUNT", "10000")
    return found
