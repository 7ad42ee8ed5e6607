from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.tracking.templates import Sampler, Templates

Scene = Any  # the class of that name in conftest.py
IDENTITY = np.eye(2, dtype=np.float32)[:, :, None]
EVERY = slice(None)


@pytest.fixture
def points() -> NDArray[np.float32]:
    """Places well within the image of a scene."""
    x, y = np.meshgrid(np.linspace(60, 420, 12), np.linspace(60, 300, 9))
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def smoothed(scene: Scene, frame: int) -> NDArray[np.uint8]:
    return cv2.blur(scene.image(frame), (5, 5))


@pytest.mark.parametrize("bend", [True, False])
def test_templates_are_found_where_they_moved_to(scene: Scene, points: NDArray[np.float32], bend: bool) -> None:
    sampler = Sampler(11, 2.0)
    templates = sampler.take(smoothed(scene, 0), points)
    target = scene.move(points, 0, 1)
    begun = (target + np.random.default_rng(0).uniform(-1, 1, points.shape)).astype(np.float32)
    warp = np.repeat(IDENTITY, len(points), 2)
    for _ in range(4):
        # A template bends a little in every image.
        begun, warp, correlation = sampler.register(smoothed(scene, 1), templates, EVERY, begun, warp, 2, bend)
    assert np.median(np.linalg.norm(begun - target, axis=1)) < 0.1
    assert np.median(correlation) > 0.95
    # The scene turns by 0.006 and grows by 0.004 from one frame to the next.
    expected = scene.motion(1)[:2, :2] if bend else np.eye(2)
    np.testing.assert_allclose(np.median(warp, axis=2), expected, atol=1e-3)


def test_one_step_from_a_pixel_away_leaves_little_of_it(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    templates = sampler.take(image, points)
    turn = np.linspace(0, 2 * np.pi, len(points))
    begun = points + np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
    warp = np.repeat(IDENTITY, len(points), 2)
    found, _, _ = sampler.register(image, templates, EVERY, begun, warp, 1, bend=False)
    # With gradients over four pixels it was 0.075.
    assert np.median(np.linalg.norm(found - points, axis=1)) < 0.05


def test_what_it_is_given_stays_as_it_is(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler = Sampler(11, 2.0)
    templates = sampler.take(smoothed(scene, 0), points)
    for bend in (True, False):
        warp, begun = np.repeat(IDENTITY, len(points), 2), points.copy()
        found, bent, _ = sampler.register(smoothed(scene, 1), templates, EVERY, begun, warp, 2, bend)
        found += 1
        bent += 1
        np.testing.assert_array_equal(begun, points)
        np.testing.assert_array_equal(warp, np.repeat(IDENTITY, len(points), 2))


@pytest.mark.parametrize("bend", [True, False])
def test_some_are_found_where_all_are(scene: Scene, points: NDArray[np.float32], bend: bool) -> None:
    sampler, rows = Sampler(11, 2.0), np.array([3, 40, 7, 99])
    templates = sampler.take(smoothed(scene, 0), points)
    # So far from there that most need a second step.
    begun, warp = points + np.float32([0.9, -0.7]), np.repeat(IDENTITY, len(points), 2)
    of_all = sampler.register(smoothed(scene, 0), templates, EVERY, begun, warp, 2, bend)
    of_some = sampler.register(smoothed(scene, 0), templates, rows, begun[rows], warp[..., rows], 2, bend)
    np.testing.assert_allclose(of_some[0], of_all[0][rows], atol=1e-3)
    np.testing.assert_allclose(of_some[1], of_all[1][..., rows], atol=1e-4)
    np.testing.assert_allclose(of_some[2], of_all[2][rows], atol=1e-4)
    assert np.abs(of_some[0] - points[rows]).max() < 0.2


def test_gain_and_offset_of_the_brightness_move_nothing(scene: Scene, points: NDArray[np.float32]) -> None:
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    templates = sampler.take(image, points)
    darker = cv2.convertScaleAbs(image, alpha=0.6, beta=30)
    warp = np.repeat(IDENTITY, len(points), 2)
    found, _, correlation = sampler.register(darker, templates, EVERY, points, warp, 2)
    assert np.abs(found - points).max() < 0.1
    assert correlation.min() > 0.99


def test_a_template_over_the_edge_is_not_pulled(scene: Scene) -> None:
    points = np.array([[4, 100], [300, 3], [475, 200], [200, 356], [3, 3]], np.float32)
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    wide = cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_REFLECT_101)
    templates = sampler.take(wide, points + 40)
    warp = np.repeat(IDENTITY, len(points), 2)
    found, _, correlation = sampler.register(image, templates, EVERY, points + np.float32(0.5), warp, 2)
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


def changes_of(templates: Templates) -> NDArray[np.float64]:
    """What each of the six motions changes, float64 [N, 6, P]."""
    _, gradient_x, gradient_y = templates.patches.transpose(1, 0, 2).astype(np.float64)
    x, y = np.mgrid[-10:11:2, -10:11:2][::-1].reshape(2, -1)[:, ::2]
    return np.stack([gradient * factor for gradient in (gradient_x, gradient_y) for factor in (1, x, y)], 1)


@pytest.mark.parametrize(("solver", "motions"), [("solver", range(6)), ("mover", (0, 3))])
def test_solvers_solve_the_normal_equations(
    scene: Scene, points: NDArray[np.float32], solver: str, motions: Sequence[int]
) -> None:
    templates = Sampler(11, 2.0).take(smoothed(scene, 0), points)
    appearance, raw = templates.patches[:, :1].astype(np.float64), changes_of(templates)
    changes = raw - raw.mean(2, keepdims=True)
    changes -= (changes * appearance).sum(2, keepdims=True) * appearance
    normal = changes @ changes.transpose(0, 2, 1)
    strength = normal[:, 0, 0] + normal[:, 3, 3]
    normal[:, range(6), range(6)] += strength[:, None] * np.array([1e-4, 6.05, 6.05] * 2) + 1e-6
    patch = np.random.default_rng(2).uniform(0, 255, (len(points), 61, 1))
    kept = list(motions)
    expected = np.linalg.solve(normal[:, kept][:, :, kept], changes[:, kept] @ patch)[:, :, 0]
    # A solver takes the raw responses and frees them from gain and offset.
    responses = np.concatenate([appearance, raw[:, kept], np.ones_like(appearance)], 1) @ patch
    found = np.einsum("ijn,njk->ni", getattr(templates, solver), responses)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_what_is_outside_the_image_is_as_it_was_last_seen(scene: Scene) -> None:
    point, warp = np.array([[100, 4]], np.float32), IDENTITY.copy()
    sampler, image = Sampler(11, 2.0), smoothed(scene, 0)
    templates = sampler.take(cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_REFLECT_101), point + 40)
    darker = image // 2
    taken = templates.seen.copy()
    sampler.register(darker, templates, slice(0, 1), point, warp, 1)
    y = np.mgrid[-10:11:2, -10:11:2][0].ravel()[::2] + 4
    np.testing.assert_array_equal(templates.seen[0, y < 0], taken[0, y < 0])
    np.testing.assert_allclose(templates.seen[0, y >= 0], taken[0, y >= 0] / 2, atol=1)


def test_no_points_no_templates(scene: Scene) -> None:
    sampler, none = Sampler(11, 2.0), np.zeros((0, 2), np.float32)
    templates = sampler.take(smoothed(scene, 0), none)
    found, warp, correlation = sampler.register(
        smoothed(scene, 0), templates, EVERY, none, np.zeros((2, 2, 0), np.float32), 2
    )
    assert (len(templates), found.shape, warp.shape, correlation.shape) == (0, (0, 2), (2, 2, 0), (0,))
