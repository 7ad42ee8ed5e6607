"""Changes of appearance that a robot's camera makes: exposure, light, blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PhotometricSettings:
    """Strength of each change; each is drawn anew for each image.

    :ivar contrast: largest change of the contrast, as a factor's natural logarithm.
    :ivar brightness: largest shift, grey levels.
    :ivar gamma: largest change of gamma, as a factor's natural logarithm.
    :ivar noise: largest standard deviation of the sensor noise, grey levels.
    :ivar blur_chance: share of images blurred, half of them by motion.
    :ivar light_chance: share of images with a smooth change of light across them.
    :ivar jpeg_chance: share of images compressed.
    """

    contrast: float = 0.5
    brightness: float = 30.0
    gamma: float = 0.3
    noise: float = 10.0
    blur_chance: float = 0.3
    light_chance: float = 0.4
    jpeg_chance: float = 0.3


def smooth_light(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """A factor for each pixel, between about 0.4 and 1.6, that varies smoothly; float32 [H, W]."""
    coarse = np.exp(rng.uniform(-0.5, 0.5, (3, 3))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def motion_kernel(length: int, angle: float) -> NDArray[np.float32]:
    """A line of ``length`` pixels at ``angle`` radians, of sum 1; float32 [length, length], length odd."""
    kernel = np.zeros((length, length), np.float32)
    half = length // 2
    for t in np.linspace(-half, half, 4 * length):
        kernel[round(half + t * np.sin(angle)), round(half + t * np.cos(angle))] = 1.0
    return np.asarray(kernel / kernel.sum(), np.float32)


def change_appearance(
    image: NDArray[np.uint8], settings: PhotometricSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The same view under another exposure, light, blur, noise and compression; uint8 [H, W] or [H, W, 3]."""
    result = image.astype(np.float32)
    if rng.random() < settings.light_chance:
        light = smooth_light(image.shape[:2], rng)
        result *= light if image.ndim == 2 else light[..., None]
    gamma = float(np.exp(rng.uniform(-settings.gamma, settings.gamma)))
    contrast = float(np.exp(rng.uniform(-settings.contrast, settings.contrast)))
    shift = float(rng.uniform(-settings.brightness, settings.brightness))
    result = 255.0 * cv2.pow(np.maximum(result, 0) / 255.0, gamma)
    mean = float(result.mean())
    result = (result - mean) * contrast + mean + shift
    if rng.random() < settings.blur_chance:
        if rng.random() < 0.5:
            result = cv2.GaussianBlur(result, (0, 0), float(rng.uniform(0.4, 1.3)))
        else:
            kernel = motion_kernel(int(rng.choice([3, 5, 7])), float(rng.uniform(0, np.pi)))
            result = cv2.filter2D(result, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    result += rng.standard_normal(image.shape, dtype=np.float32) * float(rng.uniform(0, settings.noise)) * rng.random()
    changed = np.clip(np.rint(result), 0, 255).astype(np.uint8)
    if rng.random() < settings.jpeg_chance:
        quality = int(rng.integers(30, 95))
        _, encoded = cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])
        changed = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), np.uint8)
    return np.asarray(changed, np.uint8)
