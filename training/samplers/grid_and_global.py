"""One point per grid cell and more from the whole image (TraqPoint, CVPR 2026)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.samplers.cells import propose_one_per_cell
from training.samplers.samples import (
    NEVER,
    Samples,
    gumbel_like,
    image_log_softmax,
    index_of_pixels,
    masked_logits,
    pixels_of_index,
    values_at,
    zero_where_not,
)


def sample_grid_and_global(
    logits: Tensor,
    global_count: int,
    cell: int = 40,
    valid: Tensor | None = None,
    generator: torch.Generator | None = None,
    over_image: bool = True,
) -> Samples:
    """One draw from each cell's softmax, then ``global_count`` from the image's.

    All points differ: the global draws are without replacement, and not of the grid's pixels.

    :param logits: [B, H, W].
    :param cell: side of a grid cell, pixels.
    :param valid: bool [B, H, W], what can be drawn.
    :param over_image: the log-probability of every point is that of the softmax over the whole image, whichever way it
        was drawn, as the paper has it. That is for rewards above 0 alone: a cell gives its point however improbable it
        is in the image, so that a negative one would push it down for ever. False gives the points of the grid the
        log-probability by which they were drawn, within their cells.
    :returns: the grid's points first, row by row.
    """
    masked = masked_logits(logits, valid)
    grid, within_cell, usable = propose_one_per_cell(logits, cell, valid, generator)
    scores = masked.detach().flatten(1).scatter(1, index_of_pixels(grid, logits.shape[-1]), NEVER)
    best, index = (scores + gumbel_like(scores, generator)).topk(global_count, 1)
    keypoints = torch.cat([grid, pixels_of_index(index, logits.shape[-1])], 1)
    drawn = torch.cat([usable, best > NEVER / 2], 1)
    log_probabilities = values_at(image_log_softmax(masked), keypoints)
    if not over_image:
        log_probabilities = torch.cat([within_cell, log_probabilities[:, grid.shape[1] :]], 1)
    return Samples(keypoints, zero_where_not(log_probabilities, drawn), drawn, drawn)
