from __future__ import annotations

from dataclasses import fields
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.tracking.templates import Sampler

Scene = Any  # the class of that name in conftest.py
IDENTITY = np.eye(2, dtype=np.float32)[:, :, None]


@pytest.fixture
def points() -> NDArray[np.float32]:
    """Places well within the image of a scene."""
    x, y = np.meshgrid(np.linspace(60, 420, 12), np.linspace(60, 300, 9))
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def smoothed(scene: Scene, frame: int) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(scene.image(frame), (5, 5), 0)


@pytest.mark.parametrize("bend", [True, False])
def test_templates_are_found_where_they_moved_to(scene: Scene, points: NDArray[np.float32], bend: bool) -> None:
    sampler = Sampler(11, 2.0)
    templates = sampler.take(smoothed(scene, 0), points)
    target = scene.move(points, 0, 1)
    begun = (target + np.random.default_rng(0).uniform(-1, 1, points.shape)).astype(np.float32)
    warp = np.repeat(IDENTITY, len(points), 2)
    for _ in range(4):
        # A template bends a little in every image.
        begun, warp, correlation = sampler.register(smoothed(scene, 1), templates, begun, warp, 2, bend)
    assert np.median(np.linalg.norm(begun - target, axis=1)) < 0.1
    assert np.median(correlation) > 0.95
    # The scene turns by 0.006 and grows by 0.004 from one frame to the next.
    expected = scene.motion(1)[:2, :2] if bend else np.eye(2)
    np.testing.assert_allclose(np.median(warp, axis=2), expected, atol=1e-3)


def test_what_it_is_given_stays_as_it_is(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler = Sampler(11, 2.0)
    templates = sampler.take(smoothed(scene, 0), points)
    for bend in (True, False):
        warp, begun = np.repeat(IDENTITY, len(points), 2), points.copy()
        found, bent, _ = sampler.register(smoothed(scene, 1), templates, begun, warp, 2, bend)
        found += 1
        bent += 1
        np.testing.assert_array_equal(begun, points)
        np.testing.assert_array_equal(warp, np.repeat(IDENTITY, len(points), 2))


def test_gain_and_offset_of_the_brightness_move_nothing(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    templates = sampler.take(image, points)
    darker = cv2.convertScaleAbs(image, alpha=0.6, beta=30)
    warp = np.repeat(IDENTITY, len(points), 2)
    found, _, correlation = sampler.register(darker, templates, points, warp, 2)
    assert np.abs(found - points).max() < 0.1
    assert correlation.min() > 0.99


def test_a_template_over_the_edge_is_not_pulled(scene: Scene) -> None:
    points = np.array([[4, 100], [300, 3], [475, 200], [200, 356], [3, 3]], np.float32)
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    wide = cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_REFLECT_101)
    templates = sampler.take(wide, points + 40)
    warp = np.repeat(IDENTITY, len(points), 2)
    found, _, correlation = sampler.register(image, templates, points + np.float32(0.5), warp, 2)
    # What is filled in slows it down, but it goes the right way: it was 0.5 away.
    assert np.abs(found - points).max() < 0.35
    assert correlation.min() > 0.95


def test_taking_and_writing_keeps_each_template(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler = Sampler(11, 2.0)
    templates = sampler.take(smoothed(scene, 0), points)
    room = sampler.empty(200)
    rows = np.random.default_rng(1).permutation(200)[: len(points)]
    room[rows] = templates
    again = room[rows]
    for field in fields(templates):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(templates, field.name))


def test_solvers_invert_the_normal_equations(scene: Scene, points: NDArray[np.float32]) -> None:
    templates = Sampler(11, 2.0).take(smoothed(scene, 0), points)
    normal = np.linalg.inv(templates.solver.transpose(2, 0, 1).astype(np.float64))
    x, y = np.mgrid[-10:11:2, -10:11:2][::-1].reshape(2, -1)[:, ::2]
    motions = [g * factor for g in (templates.gradient_x, templates.gradient_y) for factor in (1, x, y)]
    changes = np.stack(motions, 1).astype(np.float64)
    changes -= changes.mean(2, keepdims=True)
    appearance = templates.appearance[:, None].astype(np.float64)
    changes -= (changes * appearance).sum(2, keepdims=True) * appearance
    expected = changes @ changes.transpose(0, 2, 1)
    strength = expected[:, 0, 0] + expected[:, 3, 3]
    expected[:, range(6), range(6)] += strength[:, None] * np.array([1e-4, 6.05, 6.05] * 2) + 1e-6
    np.testing.assert_allclose(normal, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_no_points_no_templates(scene: Scene) -> None:
    sampler, none = Sampler(11, 2.0), np.zeros((0, 2), np.float32)
    templates = sampler.take(smoothed(scene, 0), none)
    found, warp, correlation = sampler.register(smoothed(scene, 0), templates, none, np.zeros((2, 2, 0), np.float32), 2)
    assert (len(templates), found.shape, warp.shape, correlation.shape) == (0, (0, 2), (2, 2, 0), (0,))
