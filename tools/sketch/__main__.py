"""Every stage in order. What is finished is skipped or resumed, so the command can be stopped and given again."""

from tools.sketch import data, export, harden, judge, sheet, text, train, vae
from tools.sketch.paths import WORK


def main() -> None:
    data.main([])
    if not (WORK / "text.pt").exists():
        text.main([])
    if not (WORK / "text-hard.pt").exists():
        harden.main([])
    train.main([])
    vae.main([])
    export.main([])
    if not judge.WEIGHTS.exists():
        judge.main([])
        judge.main(["--resume", "--seed", "1", "--drawings", "5000", "--steps", "500", "--rate", "1.5e-3"])
    sheet.main([])


if __name__ == "__main__":
    main()
