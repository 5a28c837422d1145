"""How every bench ends: one line of JSON, which also goes to bench/results with date, commit and device."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def processor() -> str:
    """The processor's name and how many cores of it may be used."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def report(bench: str, figures: dict[str, Any]) -> None:
    """Print the figures and keep them. No run takes the place of another: nobody is to choose among them."""
    asked = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    now = datetime.now(UTC)
    told = {
        "bench": bench,
        "date": now.isoformat(timespec="seconds"),
        "commit": commit,
        "device": processor(),
        # Other programs' work at the same time makes figures worse, and a reader should know.
        "load_before": round(os.getloadavg()[0], 2),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{bench}-{now:%Y-%m-%dT%H%M}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told))
