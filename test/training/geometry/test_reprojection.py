import pytest
import torch
from planes import SIZE, wall

from training.geometry.camera import View
from training.geometry.reprojection import look_up, overlap, reproject

POINTS = torch.tensor([[[30.0, 20.0], [50.0, 30.0], [5.0, 20.0]]])


def test_sideways_motion_shifts_points_by_focal_length_times_motion_over_depth() -> None:
    seen = reproject(POINTS, wall(), wall(x=1.0))
    # 20 px * 1 m / 2 m = 10 px to the left; the third leaves the image.
    assert seen.points.tolist() == [[[20.0, 20.0], [40.0, 30.0], [-5.0, 20.0]]]
    assert seen.visible.tolist() == [[True, True, False]] and seen.known.all()


def test_forward_motion_spreads_points_from_the_principal_point() -> None:
    seen = reproject(POINTS, wall(), wall(z=1.0, depth=1.0))
    assert seen.points[0, :2].tolist() == [[30.0, 20.0], [70.0, 40.0]]
    assert seen.visible.tolist() == [[True, False, False]]


def test_what_something_nearer_hides_is_not_visible_and_the_tolerance_is_relative() -> None:
    target = wall(x=1.0)
    assert target.depth is not None
    target.depth[0, :, :30] = 1.0
    assert reproject(POINTS, wall(), target).visible.tolist() == [[False, True, False]]
    target.depth[0, :, :30] = 1.95
    assert reproject(POINTS, wall(), target, 0.05).visible.tolist() == [[True, True, False]]
    assert reproject(POINTS, wall(), target, 0.02).visible.tolist() == [[False, True, False]]


def test_unknown_depth_is_never_visible() -> None:
    source, target = wall(), wall()
    assert source.depth is not None and target.depth is not None
    source.depth[0, 20, 30] = 0
    target.depth[0, 30, 50] = 0
    seen = reproject(POINTS, source, target)
    assert seen.known.tolist() == [[False, True, True]]
    assert seen.visible.tolist() == [[False, False, True]]
    assert (seen.points[0, 0] < 0).all()


def test_overlap_is_the_share_of_pixels_that_stay_in_view() -> None:
    assert float(overlap(wall(), wall(x=3.0), step=2)) == pytest.approx(0.5)
    assert float(overlap(wall(), wall(x=0.0), step=2)) == 1.0


def test_a_view_without_depth_says_so() -> None:
    bare = View(wall().intrinsics, wall().pose, SIZE)
    with pytest.raises(ValueError, match="depth"):
        reproject(POINTS, wall(), bare)


def test_look_up_takes_the_nearest_pixel() -> None:
    values = torch.arange(6.0).reshape(1, 2, 3)
    assert look_up(values, torch.tensor([[[1.4, 0.4], [1.6, 0.6], [-0.6, 0.0]]])).tolist() == [[1.0, 5.0, 0.0]]
