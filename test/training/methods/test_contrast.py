from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from training.__main__ import app
from training.methods.contrast import Contrast, Polarity, contrast_map, keypoints_of, measure_contrast

SPOTS = np.array([[20, 20], [60, 20], [20, 60], [60, 60]], np.float32)


def spotted(light: int) -> NDArray[np.uint8]:
    """Grey, with four small spots of which the first so many are light."""
    image = np.full((80, 80), 128, np.uint8)
    for number, (x, y) in enumerate(SPOTS.astype(int)):
        cv2.circle(image, (int(x), int(y)), 2, 220 if number < light else 30, -1)
    return image


@pytest.mark.parametrize(
    ("light", "polarity"), [(4, Polarity.LIGHT), (3, Polarity.LIGHT), (2, Polarity.BOTH), (0, Polarity.DARK)]
)
def test_spots_are_told_by_their_contrast(light: int, polarity: Polarity) -> None:
    found = measure_contrast(lambda image: SPOTS, [spotted(light)])
    assert found.polarity is polarity and found.keypoints == 4 and found.light == light / 4
    assert found.mean == pytest.approx((light - 2) * contrast_map(spotted(4))[20, 20] / 2, abs=0.05)


def test_contrast_does_not_depend_on_exposure() -> None:
    image = spotted(2).astype(np.float32)
    darker = contrast_map((0.5 * image + 20).astype(np.uint8))
    np.testing.assert_allclose(darker[20, 20], contrast_map(spotted(2))[20, 20], rtol=0.1)


def test_without_keypoints_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no keypoint"):
        measure_contrast(lambda image: np.zeros((0, 2), np.float32), [spotted(2)])


def test_the_command_names_what_each_detector_finds(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "spots.png"), cv2.resize(spotted(2), (160, 160), interpolation=cv2.INTER_CUBIC))
    result = CliRunner().invoke(app, ["contrast", "gftt", "orb", "--images", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = result.output.replace("\n", " ")
    assert "gftt: " in lines and "orb: " in lines and "of all pixels" in lines


def test_a_detector_by_name_gives_its_keypoints() -> None:
    keypoints = keypoints_of("gftt", 10)(cv2.resize(spotted(2), (160, 160)))
    assert keypoints.shape[1] == 2 and 0 < len(keypoints) <= 10
    assert Contrast(1, 0.0, 0.5, 0.5).polarity is Polarity.BOTH
