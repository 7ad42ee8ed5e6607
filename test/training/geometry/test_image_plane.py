import numpy as np
import torch

from training.geometry.image_plane import inside, pixel_grid, sample_map, warp_map, warp_points

SHIFT = torch.tensor([[[1.0, 0, 3], [0, 1, -2], [0, 0, 1]]])


def test_points_follow_a_shift_and_a_perspective() -> None:
    points = torch.tensor([[[0.0, 0], [10, 4]]])
    assert warp_points(SHIFT, points).tolist() == [[[3, -2], [13, 2]]]
    tilt = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0.1, 0, 1]]])
    # (10, 4) has the third coordinate 0.1 * 10 + 1 = 2.
    torch.testing.assert_close(warp_points(tilt, points)[0, 1], torch.tensor([5.0, 2.0]))


def test_points_at_or_behind_infinity_leave_every_image() -> None:
    tilt = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]]])
    warped = warp_points(tilt, torch.tensor([[[10.0, 0], [20, 0]]]))
    assert not inside(warped, 10_000, 10_000).any()


def test_grid_is_row_major_x_then_y() -> None:
    assert pixel_grid(2, 3).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]


def test_sampling_at_pixel_centres_returns_the_pixels() -> None:
    values = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert torch.allclose(sample_map(values, pixel_grid(3, 4)[None])[0, :, 0], torch.arange(12.0), atol=1e-5)
    assert torch.allclose(sample_map(values, torch.tensor([[[0.5, 0.0], [0.0, 0.5]]])), torch.tensor([[[0.5], [2.0]]]))


def test_a_coarse_map_is_sampled_at_its_cells_centres() -> None:
    values = torch.tensor([[[[0.0, 8.0]]]]).expand(1, 1, 2, 2)
    # Cells of 8 pixels have their centres at 3.5 and 11.5.
    centres = torch.tensor([[[3.5, 3.5], [11.5, 3.5], [7.5, 3.5]]])
    assert torch.allclose(sample_map(values, centres, stride=8)[0, :, 0], torch.tensor([0.0, 8.0, 4.0]), atol=1e-5)


def test_a_warped_map_shows_the_target_at_the_references_pixels() -> None:
    target = torch.from_numpy(np.random.default_rng(0).random((1, 1, 8, 9), np.float32))
    warped, defined = warp_map(target, SHIFT)
    # Reference pixel (x, y) is target pixel (x + 3, y - 2).
    torch.testing.assert_close(warped[0, 0, 2:, :6], target[0, 0, :6, 3:])
    assert defined[0, 0].sum() == 6 * 6
    assert defined[0, 0, 2:, :6].all()
