"""The detector loss of the pre-training: SuperPoint's cell-wise cross-entropy on labels that the network itself and its
corner prior agree on in both views.

Labels follow homographic adaptation (DeTone et al., SuperPoint, CVPR Workshops 2018), with two views a step instead of
a hundred, all along the training: the geometric mean of both views' responses, warped into one, keeps what fires in
both. In place of MagicPoint's synthetic shapes, the corner response of Shi and Tomasi (CVPR 1994) starts it and goes on
as a small part of the mixture, so that points stay on structure that can be followed below a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.filters import gaussian_blur, local_maxima
from training.geometry.image_plane import inside, warp_map, warp_points
from training.networks.keypoint_network import CELL

#: Points of less than this share of the strongest response are no labels: flat regions hold none.
WEAKEST = 0.1


@dataclass(frozen=True)
class Labels:
    """:ivar points: float32 [B, N, 2], reference pixels, below a pixel.
    :ivar warped: float32 [B, N, 2], the same points in the target.
    :ivar valid: bool [B, N], inside both views.
    """

    points: Tensor
    warped: Tensor
    valid: Tensor


def corner_response(image: Tensor) -> Tensor:
    """Smaller eigenvalue of the structure tensor (Shi and Tomasi 1994), to the power 1/4 (in grey levels ^ 1/2).

    :param image: [B, 1, H, W].
    """
    smooth = gaussian_blur(image.float(), 1.0)
    dx = F.pad(smooth[..., 2:] - smooth[..., :-2], (1, 1))
    dy = F.pad(smooth[..., 2:, :] - smooth[..., :-2, :], (0, 0, 1, 1))
    xx, yy, xy = gaussian_blur(torch.cat([dx * dx, dy * dy, dx * dy], 1), 1.5).chunk(3, 1)
    smaller = 0.5 * (xx + yy - ((xx - yy).square() + 4 * xy.square()).sqrt())
    return smaller.clamp(min=0).pow(0.25)


def normalise_response(response: Tensor) -> Tensor:
    """Divide each map [B, 1, H, W] by the mean of its strongest thousandth, so that maps can be mixed."""
    flat = response.flatten(1)
    top = flat.topk(max(1, flat.shape[1] // 1000), 1).values.mean(1)
    return response / (top[:, None, None, None] + 1e-8)


def refine(response: Tensor, points: Tensor) -> Tensor:
    """Centre of mass of the 3 x 3 neighbourhood of each point.

    :param response: [B, 1, H, W], not negative.
    :param points: int64 [B, N, 2], at least one pixel inside.
    :returns: float32 [B, N, 2].
    """
    width = response.shape[-1]
    steps = torch.tensor([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)], device=points.device)
    neighbours = points[:, :, None] + steps
    index = (neighbours[..., 1] * width + neighbours[..., 0]).flatten(1)
    weights = response.flatten(1).gather(1, index).reshape(neighbours.shape[:3])
    weights = weights / weights.sum(2, keepdim=True).clamp(min=1e-12)
    return points.float() + (weights[..., None] * steps.float()).sum(2)


@torch.no_grad()
def propose_labels(
    reference: Tensor,
    target: Tensor,
    corners: Tensor,
    homography: Tensor,
    corner_share: float,
    density: float,
    radius: int = 3,
) -> Labels:
    """Points that both views agree on.

    :param reference: [B, 1, H, W], probability map of the reference.
    :param target: [B, 1, H, W], probability map of the target.
    :param corners: [B, 1, H, W], corner response of the reference before its appearance was changed.
    :param homography: [B, 3, 3], reference pixels to target pixels.
    :param corner_share: weight of the corner response in the mixture, 0 to 1.
    :param density: points a pixel of the overlap that are made labels, at most.
    :param radius: of the non-maximum suppression, pixels.
    """
    _, _, height, width = reference.shape
    seen, overlap = warp_map(gaussian_blur(target, 1.0), homography)
    agreed = (gaussian_blur(reference, 1.0) * seen).clamp(min=0).sqrt()
    response = (1 - corner_share) * normalise_response(agreed) + corner_share * normalise_response(corners)
    peaks = local_maxima(response * overlap, radius)
    border = 2
    peaks[..., :border, :] = peaks[..., -border:, :] = 0
    peaks[..., :border] = peaks[..., -border:] = 0
    count = int(density * height * width)
    values, index = peaks.flatten(1).topk(count, 1)
    points = refine(response, torch.stack([index % width, index // width], -1).clamp(min=1, max=width - 2))
    warped = warp_points(homography, points)
    # The budget follows the overlap: a small overlap must not be filled with weak points.
    budget = density * overlap.flatten(1).sum(1)
    rank = torch.arange(count, device=index.device)
    valid = (values > WEAKEST) & (rank < budget[:, None]) & inside(warped, height, width, 1.0)
    return Labels(points, warped, valid)


def splat(points: Tensor, valid: Tensor, height: int, width: int, sigma: float = 0.6) -> Tensor:
    """Each point as a Gaussian of mass 1 on the 5 x 5 pixels around it; [B, 1, H, W]."""
    steps = torch.tensor([(x, y) for y in range(-2, 3) for x in range(-2, 3)], device=points.device)
    pixels = points.round().long()[:, :, None] + steps
    weights = torch.exp(-(pixels - points[:, :, None]).square().sum(-1) / (2 * sigma**2))
    weights = weights / weights.sum(2, keepdim=True)
    keep = inside(pixels, height, width) & valid[:, :, None]
    index = torch.where(keep, pixels[..., 1] * width + pixels[..., 0], 0)
    canvas = points.new_zeros(points.shape[0], height * width)
    canvas.scatter_add_(1, index.flatten(1), (weights * keep).flatten(1))
    return canvas.reshape(-1, 1, height, width)


def cell_cross_entropy(logits: Tensor, heat: Tensor, visible: Tensor) -> Tensor:
    """Cross-entropy of each cell's 64 pixels and "none" (constant logit 0) against soft labels; mean over cells.

    :param logits: [B, 1, H, W].
    :param heat: [B, 1, H, W], label mass a pixel; what a cell lacks to 1 is the mass of "none".
    :param visible: bool [B, 1, H, W]; cells that are not wholly visible do not count.
    """
    labels = F.pixel_unshuffle(heat, CELL)
    mass = labels.sum(1, keepdim=True)
    labels = torch.cat([labels / mass.clamp(min=1), (1 - mass).clamp(min=0)], 1)
    logits = F.pixel_unshuffle(logits.float(), CELL)
    logits = torch.cat([logits, torch.zeros_like(logits[:, :1])], 1)
    losses = -(labels * logits.log_softmax(1)).sum(1)
    whole = F.pixel_unshuffle(visible.float(), CELL).amin(1) > 0
    return (losses * whole).sum() / whole.sum().clamp(min=1)


def detection_loss(logits: Tensor, points: Tensor, valid: Tensor, visible: Tensor) -> Tensor:
    """Cross-entropy of one view's cells against the label points in it.

    :param logits: [B, 1, H, W].
    :param points: [B, N, 2], pixels of this view.
    :param valid: bool [B, N].
    :param visible: bool [B, 1, H, W], what of this view the other sees.
    """
    height, width = visible.shape[-2:]
    return cell_cross_entropy(logits, splat(points, valid, height, width), visible)
