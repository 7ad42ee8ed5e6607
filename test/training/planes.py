"""Cameras before a wall, so that every reward can be worked out on paper: f = 20 px, depth 2 m."""

import torch

from training.geometry.camera import View

SIZE = (40, 60)


def wall(x: float = 0.0, z: float = 0.0, depth: float = 2.0) -> View:
    """A camera at (x, 0, z) that looks along z at a wall ``depth`` metres before it: 1 m sideways is 20 / depth px."""
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([-x, 0.0, -z])
    intrinsics = torch.tensor([[20.0, 0, 30], [0, 20, 20], [0, 0, 1]])
    return View(intrinsics[None], pose[None], SIZE, torch.full((1, *SIZE), depth))
