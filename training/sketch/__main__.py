"""Every stage in order. What is finished is skipped or resumed, so the command can be stopped and given again."""

import argparse

from training.sketch import data, decoder, export, harden, judge, sheet, text, train
from training.sketch.paths import WORK


def main() -> None:
    argparse.ArgumentParser(prog="launch.py train-sketch", description=__doc__).parse_args()
    data.main([])
    if not (WORK / "text.pt").exists():
        text.main([])
    if not (WORK / "text-hard.pt").exists():
        harden.main([])
    train.main([])
    decoder.main([])
    export.main([])
    if not judge.WEIGHTS.exists():
        judge.main([])
    sheet.main([])


if __name__ == "__main__":
    main()
