"""Makes the pictures of presets and examples that ship with the built-in model: `python -m training.sketch.showcase`.

To be run again when a preset, presets/models/sketch.toml or the model has changed. Takes a minute on two cores.
"""

import threading
from pathlib import Path

from app.presets import load_presets
from app.work.showcase import load_showcase
from app.work.showcase_pictures import ShowcasePictures
from engines.sdxl.engine import SdxlEngine
from training.sketch.paths import MODEL

PRESETS = Path(__file__).resolve().parents[2] / "presets"
FOLDER = PRESETS / "pictures" / "sketch"


def main() -> None:
    engine = SdxlEngine(MODEL, "cpu", offline=True)
    presets = load_presets(PRESETS)
    showcase = load_showcase([PRESETS], engine.info.name, presets)
    pictures = ShowcasePictures(engine, presets, showcase, shipped=None, own=FOLDER)
    while pictures.make_one(threading.Event()):
        print(f"{len(pictures.missing())} to go", flush=True)
    if pictures.missing():
        raise SystemExit("Not all could be made: see above.")
    for file in FOLDER.glob("*.webp"):
        if file.name not in pictures.files:
            file.unlink()
    total = sum(file.stat().st_size for file in FOLDER.glob("*.webp"))
    print(f"{FOLDER}: {len(pictures.files)} pictures, {total / 1000:.0f} kB")


if __name__ == "__main__":
    main()
