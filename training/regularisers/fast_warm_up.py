"""Warm-up: the heat map imitates FAST corners (Rosten and Drummond, ECCV 2006), until rewards can lead (TraqPoint)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.filters import gaussian_blur


def fast_heat(images: Tensor, threshold: int = 20, sigma: float = 2.0) -> Tensor:
    """FAST corners, each a Gaussian of height 1; where they overlap their sum is cut at 1.

    :param images: [B, C, H, W], 0..255.
    :returns: float32 [B, H, W].
    """
    detector = cv2.FastFeatureDetector.create(threshold)
    corners = torch.zeros(len(images), 1, *images.shape[-2:])
    for b, image in enumerate(images.float().mean(1).clamp(0, 255).byte().cpu().numpy()):
        found = np.array([point.pt for point in detector.detect(image)], np.int64).reshape(-1, 2)
        corners[b, 0, found[:, 1], found[:, 0]] = 1.0
    peak = gaussian_blur(torch.ones(1, 1, 1, 1), sigma)
    return (gaussian_blur(corners, sigma)[:, 0] / peak[0]).clamp(max=1).to(images.device)


def fast_warm_up(logits: Tensor, heat: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy of the sigmoid heat map against :func:`fast_heat`; mean over the valid pixels.

    :param logits: [B, H, W].
    :param heat: [B, H, W].
    :param valid: bool [B, H, W].
    """
    loss = F.binary_cross_entropy_with_logits(logits, heat, reduction="none")
    return (loss * valid).sum() / valid.sum().clamp(min=1)
