"""How well the built-in speech model hears voices that it was not trained on: `python -m bench.speech_demo_wer`.

Speaks new sentences every time a new --seed is given, in espeak-ng variants and a flite voice that training never
heard, so the figure is of this model on this day and not of a file that the model may have been tuned on. Needs what
`python -m training.speech_demo` needs. The figures are of synthetic speech: they say nothing of people.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import vosk

from training.speech_demo.corpus import SAMPLE_RATE, Utterance
from training.speech_demo.espeak import Espeak
from training.speech_demo.evaluate import Score, open_model, score, transcribe
from training.speech_demo.synth import held_out_set
from training.speech_demo.vocabulary import read_lexicon

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
NOISE_DB = (None, 15.0, 5.0)
"""Signal-to-noise of added white noise; None adds none."""


def main() -> None:
    """Measure, print one JSON line, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m bench.speech_demo_wer", description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "vosk-demo-en")
    parser.add_argument("--per-engine", type=int, default=150, help="utterances by espeak-ng, and as many by flite")
    parser.add_argument("--seed", type=int, default=20_261_123)
    options = parser.parse_args()
    model, load_seconds, memory_mb = _load(options.model)
    utterances = held_out_set(Espeak(read_lexicon()), options.per_engine, options.seed)
    result = {
        "bench": "speech_demo_wer",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "device": f"{_processor()}, one core of {platform.system()} {platform.machine()}",
        "model": options.model.name,
        "seed": options.seed,
        "size_mb": round(sum(file.stat().st_size for file in options.model.rglob("*") if file.is_file()) / 1e6, 2),
        "load_seconds": round(load_seconds, 3),
        "memory_mb": round(memory_mb, 1),
        **_measure(model, utterances[: options.per_engine], utterances[options.per_engine :]),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"speech_demo_wer-{result['date'][:10]}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


def _load(folder: Path) -> tuple[vosk.Model, float, float]:
    """The model, the seconds that loading took, and the MB that it and a first recognition added."""
    before, started = _memory_mb(), time.perf_counter()
    model = open_model(str(folder))
    seconds = time.perf_counter() - started
    transcribe(model, np.zeros(SAMPLE_RATE, np.int16))
    return model, seconds, _memory_mb() - before


def _measure(model: vosk.Model, by_espeak: list[Utterance], by_flite: list[Utterance]) -> dict[str, Any]:
    started = time.process_time()
    figures = {
        f"{name}{'' if noise_db is None else f' at {noise_db:.0f} dB'}": _figures(score(model, utterances, noise_db))
        for name, utterances in (("held-out espeak-ng", by_espeak), ("held-out flite", by_flite))
        for noise_db in NOISE_DB
    }
    decoded_seconds = len(NOISE_DB) * sum(utterance.seconds for utterance in by_espeak + by_flite)
    return {
        "word_error_rates": figures,
        "real_time_factor": round((time.process_time() - started) / decoded_seconds, 4),
    }


def _figures(result: Score) -> dict[str, Any]:
    return {
        "word_error_rate": round(result.word_error_rate, 4),
        "words": result.words,
        "utterances": result.utterances,
        "all_right": result.all_right,
    }


def _memory_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
