"""Light or dark: what a detector's keypoints are, by the intensity contrast at them (Edstedt et al., DaD, 2025).

A keypoint's contrast is how much brighter it is than its surroundings, in standard deviations of these. Points chosen
blindly have a mean of 0; a detector of light points has almost none that is darker than its surroundings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from kp_ros.detectors import load_detector
from training.networks.graphs import make_graph
from training.networks.keypoint_network import STRIDE
from training.runs import load_network

#: Standard deviation of the Gaussian that makes a keypoint's own intensity, pixels: a keypoint is off by a pixel.
CENTRE = 1.0
#: Of the one that makes its surroundings, pixels.
SURROUND = 5.0
#: Grey levels of standard deviation that are noise.
NOISE = 2.0
#: Share of keypoints of one sign that makes a detector one of that sign.
ONE_SIDED = 0.75

Keypoints = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Polarity(Enum):
    """What a detector finds."""

    LIGHT = "light"
    DARK = "dark"
    BOTH = "both"


@dataclass(frozen=True)
class Contrast:
    """Of a detector's keypoints.

    :ivar keypoints: how many were measured.
    :ivar mean: contrast, standard deviations of the surroundings.
    :ivar light: share of keypoints that are brighter than their surroundings.
    :ivar blind: the same share of all pixels of the images: what a detector would have that chose blindly.
    """

    keypoints: int
    mean: float
    light: float
    blind: float

    @property
    def polarity(self) -> Polarity:
        """Light or dark where three quarters of the keypoints are."""
        if self.light >= ONE_SIDED:
            return Polarity.LIGHT
        return Polarity.DARK if self.light <= 1 - ONE_SIDED else Polarity.BOTH


def grey_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A colour image, uint8 [H, W, 3] BGR, in grey."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def contrast_map(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Contrast of every pixel of a grey image, standard deviations of its surroundings; float32 [H, W]."""
    grey = image.astype(np.float32)
    centre = cv2.GaussianBlur(grey, (0, 0), CENTRE)
    around = cv2.GaussianBlur(grey, (0, 0), SURROUND)
    variance = cv2.GaussianBlur(grey * grey, (0, 0), SURROUND) - around * around
    return np.asarray((centre - around) / (np.sqrt(np.maximum(variance, 0)) + NOISE), np.float32)


def measure_contrast(detect: Keypoints, images: Iterable[NDArray[np.uint8]]) -> Contrast:
    """Contrast at the keypoints of some images.

    :param detect: a grey image to keypoints [N, 2], pixels.
    :param images: uint8 [H, W] each.
    :raises ValueError: no keypoint was found in any.
    """
    found, blind = [], []
    for image in images:
        contrast = contrast_map(image)
        pixels = np.rint(detect(image)).astype(int)
        found.append(contrast[pixels[:, 1], pixels[:, 0]])
        blind.append(float((contrast > 0).mean()))
    values = np.concatenate(found) if found else np.zeros(0)
    if len(values) == 0:
        raise ValueError("no keypoint was found in any image; name images with something in them")
    return Contrast(len(values), float(values.mean()), float((values > 0).mean()), float(np.mean(blind)))


def keypoints_of(model: str, max_keypoints: int) -> Keypoints:
    """What finds a model's keypoints.

    :param model: a run's checkpoint (``.pt``), or what :func:`kp_ros.detectors.load_detector` takes.
    """
    if model.endswith(".pt"):
        graph = make_graph(load_network(Path(model)), max_keypoints).eval()

        def detect(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            height, width = (side - side % STRIDE for side in image.shape)
            with torch.no_grad():
                keypoints, scores, _ = graph(torch.from_numpy(np.ascontiguousarray(image[:height, :width]))[None, None])
            return np.asarray(keypoints[scores > 0].numpy(), np.float32)

        return detect
    detector = load_detector(model, max_keypoints=max_keypoints)
    return lambda image: detector(image).keypoints
