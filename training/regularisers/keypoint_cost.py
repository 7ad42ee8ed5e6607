"""A reward, or a cost, for every keypoint that is accepted, whatever comes of it (DISK; RIPE)."""

from __future__ import annotations

from torch import Tensor

from training.samplers.samples import Samples


def keypoint_reward(samples: list[Samples]) -> Tensor:
    """- sum of log p over the accepted points / number of draws, accepted or not; scalar.

    With the weight epsilon, as the papers have it, a negative epsilon makes points rarer, a positive one more frequent.
    Dividing by the accepted points instead would pay every image the same, however many it has, and teach nothing.

    :param samples: of each image of the items.
    """
    total = sum(((s.log_probabilities * s.accepted).sum() for s in samples), samples[0].log_probabilities.new_zeros(()))
    draws = sum((s.valid.sum() for s in samples), samples[0].valid.new_zeros(()).long())
    return -total / draws.clamp(min=1)
