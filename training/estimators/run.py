"""Estimators by their settings, on the matches of a whole batch, on threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial

import torch
from torch import Tensor

from training.estimators import opencv, poselib
from training.estimators.base import Estimate, Estimator, EstimatorSettings, Library, Points
from training.geometry.matching import Matches


def make_estimator(settings: EstimatorSettings) -> Estimator:
    """The estimator that the settings name."""
    return partial(poselib.estimate if settings.library is Library.POSELIB else opencv.estimate, settings)


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="estimator")


def estimate_all(
    estimator: Estimator, pairs: Sequence[tuple[Points, Points]], threads: int = 2
) -> list[Estimate | None]:
    """Estimate for every pair of point sets, in order; both libraries let go of Python's lock while they work."""
    if threads <= 1 or len(pairs) <= 1:
        return [estimator(first, second) for first, second in pairs]
    return list(_pool(threads).map(estimator, *zip(*pairs, strict=True)))


def estimate_matches(
    estimator: Estimator, first: Tensor, second: Tensor, matches: Matches, fewest: int = 8, threads: int = 2
) -> list[Estimate | None]:
    """Estimate for every image pair of a batch from its matches.

    :param first: [B, N, 2], points of the first images, in the model's unit.
    :param second: [B, M, 2].
    :param fewest: a pair of fewer matches has no model.
    """
    partners = second.gather(1, matches.partner[..., None].expand(-1, -1, 2))
    one, two, matched = (
        value.detach().double().cpu().numpy() if value.is_floating_point() else value.cpu().numpy()
        for value in (first, partners, matches.matched)
    )
    chosen = [b for b in range(len(one)) if matched[b].sum() >= fewest]
    found = estimate_all(estimator, [(one[b][matched[b]], two[b][matched[b]]) for b in chosen], threads)
    result: list[Estimate | None] = [None] * len(one)
    for b, value in zip(chosen, found, strict=True):
        result[b] = value
    return result


def inlier_mask(matches: Matches, estimates: list[Estimate | None]) -> Tensor:
    """Which points of the first images have a match that is an inlier; bool [B, N]."""
    inliers = torch.zeros_like(matches.matched)
    for b, found in enumerate(estimates):
        if found is not None:
            inliers[b, matches.matched[b]] = torch.from_numpy(found.inliers).to(inliers.device)
    return inliers
