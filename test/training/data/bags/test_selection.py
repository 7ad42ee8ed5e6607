from __future__ import annotations

import cv2
import numpy as np

from training.data.bags.selection import MotionGate, blurred
from training.data.bags.survey import sharpness_of, small_grey

TEXTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8), (0, 0), 2)
TEXTURE = cv2.normalize(TEXTURE, None, 0, 255, cv2.NORM_MINMAX)


def test_sharpness_falls_with_blur_and_the_blurred_one_is_found() -> None:
    sharp, soft = (sharpness_of(small_grey(image)) for image in (TEXTURE, cv2.GaussianBlur(TEXTURE, (0, 0), 3)))
    assert soft < 0.3 * sharp
    values = np.array([sharp, sharp, np.nan, soft, sharp, 0.0])
    assert blurred(values, 0.4).tolist() == [False, False, False, True, False, True]
    assert blurred(np.array([soft, soft, soft]), 0.4).tolist() == [False] * 3, "soft is relative to what is around"


def test_an_image_passes_when_the_view_has_moved() -> None:
    gate = MotionGate(0.02)
    # 2 % of the diagonal of 240 x 160 are 5.8 pixels.
    moved = [gate.passes(TEXTURE[20:180, 20 + shift : 260 + shift]) for shift in (0, 0, 3, 5, 8, 10, 20)]
    assert moved == [True, False, False, False, True, False, True], "motion adds up from the last one that passed"


def test_another_view_passes_and_the_same_flat_one_does_not() -> None:
    gate = MotionGate(0.02)
    flat, brighter = np.full((160, 240), 80, np.uint8), np.full((160, 240), 120, np.uint8)
    assert gate.passes(flat)
    assert not gate.passes(flat)
    assert gate.passes(brighter)
    assert gate.passes(TEXTURE[:160, :240])
