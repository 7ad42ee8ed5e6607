from dataclasses import replace

import numpy as np
import pytest

from training.data.sequence import Depth, Sequence
from training.evaluation.reprojection import DepthReprojection


def test_a_point_of_the_wall_moves_six_pixels_a_frame(wall_sequence: Sequence) -> None:
    geometry = DepthReprojection(wall_sequence)
    keypoints = np.array([[100, 50], [3, 100]], np.float32)
    places, visible = geometry.project(geometry.lift(0, keypoints), 1)
    np.testing.assert_allclose(places[:, 0], [[94, 50]] * 2, atol=1e-3)
    # The second one left the image.
    assert visible.tolist() == [[True, False]] * 2


def test_what_another_frame_has_something_before_is_hidden(wall_sequence: Sequence) -> None:
    load = wall_sequence.load_depth
    assert load is not None

    def depth(index: int) -> Depth:
        values = load(index).copy()
        if index == 1:
            values[:, :200] = 1.0
        return values

    geometry = DepthReprojection(replace(wall_sequence, load_depth=depth))
    _, visible = geometry.project(geometry.lift(0, np.array([[100, 50], [280, 50]], np.float32)), 1)
    assert visible.tolist() == [[False, True]] * 2


def test_a_corner_on_an_edge_may_be_of_the_near_or_of_the_far_surface(wall_sequence: Sequence) -> None:
    def depth(index: int) -> Depth:
        values = np.full((240, 320), 2.0, np.float32)
        values[:, :100] = 1.0
        return values

    geometry = DepthReprojection(replace(wall_sequence, load_depth=depth))
    places, _ = geometry.project(geometry.lift(0, np.array([[100, 50]], np.float32)), 1)
    np.testing.assert_allclose(places[:, 0, 0], [88, 94], atol=1e-3)


def test_without_depth_nothing_is_seen(wall_sequence: Sequence) -> None:
    empty = replace(wall_sequence, load_depth=lambda index: np.zeros((240, 320), np.float32))
    geometry = DepthReprojection(empty)
    _, visible = geometry.project(geometry.lift(0, np.array([[100, 50]], np.float32)), 1)
    assert not visible.any()
    with pytest.raises(ValueError, match="lacks depth"):
        DepthReprojection(replace(wall_sequence, load_depth=None))
