"""What each method chooses to look at: the best keypoints of several models on one photograph, side by side.

    python -m benchmarks.methods.picture --image runs/photos/lomiri-wallpapers-16.04_004.jpg --output docs/methods.jpg

Orange points are lighter than their surroundings, blue ones darker: DaD's light and dark detectors show at once. What a
model likes best has the largest circles.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.recordings.output import OutputFile
from training.methods.contrast import contrast_map, grey_of, keypoints_of

MODELS = ("kp_base", "kp_rfp", "kp_ripe", "kp_dad", "kp_traqpoint")
#: Of points lighter and darker than their surroundings, BGR.
LIGHT, DARK = (40, 150, 255), (255, 120, 30)
#: Radii of the best and of the last circle, pixels.
RADII = (7.0, 2.5)
#: Height of the line with the model's name, and pixels between panels.
TITLE, GAP = 34, 8


def panel(image: NDArray[np.uint8], model: str, keypoints: int) -> NDArray[np.uint8]:
    """One model's points on an image, under its name; uint8 [TITLE + H, W, 3] BGR."""
    grey = grey_of(image)
    contrast = contrast_map(grey)
    # Faded, so that the points stand out and the scene can still be made out.
    canvas = cv2.cvtColor(np.asarray(90 + 0.6 * grey.astype(np.float32), np.uint8), cv2.COLOR_GRAY2BGR)
    found = keypoints_of(model, keypoints)(grey)
    light = 0
    for rank, (x, y) in reversed(list(enumerate(found.tolist()))):
        lighter = bool(contrast[round(y), round(x)] > 0)
        light += lighter
        radius = RADII[0] + (RADII[1] - RADII[0]) * rank / max(1, len(found) - 1)
        # Four bits below a pixel.
        centre = (round(16 * x), round(16 * y))
        cv2.circle(canvas, centre, round(16 * radius), LIGHT if lighter else DARK, 2, cv2.LINE_AA, 4)
    title = np.full((TITLE, image.shape[1], 3), 255, np.uint8)
    text = f"{Path(model).stem}: {100 * light / max(1, len(found)):.0f} % light"
    cv2.putText(title, text, (4, TITLE - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([title, canvas])


def main() -> None:
    """Draw and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--keypoints", type=int, default=200)
    parser.add_argument("--width", type=int, default=400, help="of a panel, pixels")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    image = cv2.imread(str(arguments.image))
    if image is None:
        raise SystemExit(f"{arguments.image} cannot be read as an image")
    factor = arguments.width / image.shape[1]
    size = (arguments.width, round(factor * image.shape[0]))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    panels = [panel(small, model, arguments.keypoints) for model in arguments.models]
    between = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    row = [part for one in panels for part in (one, between)][:-1]
    with OutputFile(arguments.output) as temporary:
        cv2.imwrite(str(temporary), np.hstack(row), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
