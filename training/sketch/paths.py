"""Where the stages keep their work. The workspace is not committed; `models/sketch` is."""

from pathlib import Path

WORK = Path("work/sketch")
MODEL = Path("models/sketch")
SHEET = Path("docs/sketch-sheet.png")
SIZES = ((256, 256), (448, 256))
