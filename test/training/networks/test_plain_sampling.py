import torch

from training.geometry.image_plane import sample_map
from training.networks.deformable_attention import interpolate_by_grid
from training.networks.plain_sampling import interpolate, sample_by_gathers


def test_gathers_do_what_grid_sample_does_inside_at_the_rim_and_far_outside() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 5, 7, 9)
    cells = torch.cat(
        [
            14 * torch.rand(3, 200, 2) - 3,
            torch.tensor([[-1.0, -1], [9, 7], [8, 6], [0, 0], [-50, 99]]).expand(3, -1, -1),
        ],
        1,
    )
    torch.testing.assert_close(interpolate(values, cells), interpolate_by_grid(values, cells), atol=1e-5, rtol=0)


def test_points_are_pixels_of_the_image() -> None:
    torch.manual_seed(0)
    values = torch.randn(1, 5, 6, 8)
    points = torch.rand(1, 50, 2) * torch.tensor([31.0, 23.0])
    for stride in (1, 4):
        torch.testing.assert_close(
            sample_by_gathers(values[0], points[0], stride), sample_map(values, points, stride)[0], atol=1e-5, rtol=0
        )
