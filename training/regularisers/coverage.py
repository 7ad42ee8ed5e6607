"""Coverage: probability must lie wherever points can be judged (Edstedt et al., DaD, 2025)."""

from __future__ import annotations

from torch import Tensor

from training.filters import gaussian_blur
from training.samplers.samples import image_log_softmax


def coverage(logits: Tensor, has_depth: Tensor, sigma: float = 12.5) -> Tensor:
    """KL(blurred mask || blurred p), both over the whole image; mean over the items that have any depth.

    Both blurs have the same zero padding, so that p equal to the mask gives 0 up to the image's edge; the released code
    pads them differently and leaves the outer 25 columns without keypoints.

    :param logits: [B, H, W].
    :param has_depth: bool [B, H, W].
    :param sigma: of the Gaussian, pixels.
    """
    p = gaussian_blur(image_log_softmax(logits).exp()[:, None], sigma).flatten(1)
    mask = has_depth.float()
    count = mask.sum((1, 2))
    target = gaussian_blur((mask / count.clamp(min=1)[:, None, None])[:, None], sigma).flatten(1)
    tiny = 1e-12
    # What the blur carries over the edge is lost to both; the rest is a distribution again.
    p, target = p / p.sum(1, keepdim=True).clamp(min=tiny), target / target.sum(1, keepdim=True).clamp(min=tiny)
    divergence = (target * ((target + tiny).log() - (p + tiny).log())).sum(1)
    usable = count > 0
    return (divergence * usable).sum() / usable.sum().clamp(min=1)
