"""Builds the demo speech model: `python -m training.speech_demo`.

Goes on where an interrupted run stopped; `--fresh` starts over. Takes about half an hour on
one idle core, 3 GB of memory and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = "training/speech_demo/requirements.txt"


def main() -> int:
    """Run every stage that has not been run."""
    parser = argparse.ArgumentParser(prog="python -m training.speech_demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "vosk-demo-en", help="model folder to write")
    parser.add_argument("--work", type=Path, default=ROOT / "work" / "speech-demo", help="folder for what is between")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size", type=float, default=1.0, help="share of the utterances to speak (0.02 for a try)")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run left in --work")
    options = parser.parse_args()
    if missing := _missing():
        print(missing, file=sys.stderr)
        return 2
    if options.fresh:
        shutil.rmtree(options.work, ignore_errors=True)
    from training.speech_demo.build import Build  # here, because it imports what _missing() looks for

    started = time.monotonic()
    try:
        build = Build(options.work, options.seed, options.size, log=lambda line: print(line, flush=True))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    figures = build.run(options.out)
    print(f"{options.out} is done, {(time.monotonic() - started) / 60:.0f} minutes")
    print(json.dumps(figures))
    return 0


def _missing() -> str | None:
    """What has to be installed first, with the line that does it."""
    tools = {"flite": "flite", "fstcompile": "libfst-tools"}
    packages = [package for tool, package in tools.items() if shutil.which(tool) is None]
    try:
        ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        packages.append("espeak-ng")
    if packages:
        return f"Not installed: {', '.join(packages)}. Run: apt-get install {' '.join(sorted(packages))}"
    try:
        import kaldi_native_fbank  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as error:
        return f"Not installed: {error.name}. Run: {sys.executable} -m pip install -r {REQUIREMENTS}"
    return None


if __name__ == "__main__":
    raise SystemExit(main())
