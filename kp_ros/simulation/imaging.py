"""What a real camera and a real day do to an image: blur, light that changes, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_ros.camera import Camera
from kp_ros.simulation.rendering import RenderedFrame, render
from kp_ros.simulation.textures import Image
from kp_ros.simulation.trajectory import Trajectory
from kp_ros.simulation.world import World


@dataclass(frozen=True)
class Imaging:
    """All zero: the render as it is.

    :ivar noise: standard deviation of the sensor's noise, grey values.
    :ivar shutter: seconds that the shutter is open; the image is the mean over this time, centred on its stamp.
    :ivar exposure_swing: the exposure rises and falls by this share, as auto-exposure does; 0.3 is much.
    :ivar exposure_period: seconds of one rise and fall.
    :ivar light_swing: bands of light and shade that roll over the image, by this share.
    :ivar light_period: seconds in which they roll by one band.
    :ivar seed: of the noise.
    """

    noise: float = 0.0
    shutter: float = 0.0
    exposure_swing: float = 0.0
    exposure_period: float = 4.0
    light_swing: float = 0.0
    light_period: float = 2.0
    seed: int = 0


#: Renders that a blurred image is the mean of.
BLUR_STEPS = 5


def photograph(
    world: World, camera: Camera, trajectory: Trajectory, index: int, imaging: Imaging = Imaging()
) -> RenderedFrame:
    """One frame of a trajectory as a camera would take it; pose and depth are those of the stamp itself.

    :param index: which of the trajectory's poses.
    """
    stamp_ns = int(trajectory.stamps_ns[index])
    frame = render(world, camera, trajectory.poses[index])
    image = frame.image.astype(np.float32)
    if imaging.shutter > 0:
        times = stamp_ns + np.rint((np.arange(BLUR_STEPS) / (BLUR_STEPS - 1) - 0.5) * imaging.shutter * 1e9)
        blurred = [render(world, camera, trajectory.pose(int(time))).image for time in times]
        image = np.mean(blurred, 0, dtype=np.float32)
    seconds = (stamp_ns - int(trajectory.stamps_ns[0])) * 1e-9
    image *= _light(imaging, seconds, camera.width, camera.height)
    if imaging.noise > 0:
        generator = np.random.default_rng((imaging.seed, index))
        image += imaging.noise * generator.standard_normal(image.shape, np.float32)
    return RenderedFrame(np.clip(np.rint(image), 0, 255).astype(np.uint8), frame.depth, frame.pose)


def _light(imaging: Imaging, seconds: float, width: int, height: int) -> Image | np.ndarray:
    """float32 [H, W, 1]: what the image is multiplied by."""
    exposure = 1 + imaging.exposure_swing * np.sin(2 * np.pi * seconds / imaging.exposure_period)
    x, y = np.arange(width) / width, np.arange(height)[:, None] / width
    bands = np.sin(2 * np.pi * (x + 0.5 * y - seconds / imaging.light_period))
    return np.asarray(exposure * (1 + imaging.light_swing * bands), np.float32)[..., None]
