"""Compose the README's picture from a run's directory: ``python docs/make_run_picture.py runs/first``.  Needs pillow."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

HEIGHT = 420
NAMES = ("learning_curves", "confusion_matrix", "sample_predictions")


def main(run: Path, out: Path) -> None:
    """Put the run's three plots side by side, on white."""
    pictures = [Image.open(run / "plots" / f"{name}.png").convert("RGB") for name in NAMES]
    scaled = [p.resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.Resampling.LANCZOS) for p in pictures]
    canvas = Image.new("RGB", (sum(p.width for p in scaled), HEIGHT), "white")
    x = 0
    for picture in scaled:
        canvas.paste(picture, (x, 0))
        x += picture.width
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "images" / "run.png")
