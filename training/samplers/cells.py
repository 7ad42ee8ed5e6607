"""One proposal per cell, accepted or rejected (RIPE, ICCV 2025; after DISK, Tyszkiewicz et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.samplers.samples import Samples, gumbel_like, masked_logits, values_at, zero_where_not


def propose_one_per_cell(
    logits: Tensor, cell: int, valid: Tensor | None, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """A draw from the softmax of every cell; cells that the image's size cuts off at the right and below are left out.

    :returns: keypoints float32 [B, N, 2], log-probabilities within the cell [B, N], and bool [B, N], whether the cell
        has a valid pixel; row-major cells.
    """
    height, width = logits.shape[-2] // cell * cell, logits.shape[-1] // cell * cell
    masked = masked_logits(logits, valid)[:, None, :height, :width]
    cells = F.pixel_unshuffle(masked, cell).flatten(2)
    log_softmax = cells.log_softmax(1)
    chosen = (cells.detach() + gumbel_like(cells.detach(), generator)).argmax(1)
    columns = width // cell
    number = torch.arange(cells.shape[2], device=logits.device)
    x = number % columns * cell + chosen % cell
    y = number // columns * cell + chosen // cell
    if valid is None:
        usable = torch.ones_like(x, dtype=torch.bool)
    else:
        usable = F.max_pool2d(valid[:, None, :height, :width].float(), cell).flatten(1) > 0
    return torch.stack([x, y], -1).float(), log_softmax.gather(1, chosen[:, None])[:, 0], usable


def sample_cells(
    logits: Tensor,
    cell: int = 8,
    valid: Tensor | None = None,
    border: int = 0,
    generator: torch.Generator | None = None,
) -> Samples:
    """One pixel a cell from the cell's softmax, accepted with the sigmoid of its logit.

    The log-probability is that of the whole outcome: proposal, and acceptance or rejection. Over the pixels of a cell
    and both answers the probabilities sum to 1.

    :param logits: [B, H, W].
    :param cell: side of a cell, pixels.
    :param valid: bool [B, H, W], what can be drawn.
    :param border: accepted points nearer than this to the image's edge keep their log-probability and take no part.
    """
    keypoints, proposal, usable = propose_one_per_cell(logits, cell, valid, generator)
    logit = values_at(logits, keypoints)
    uniform = torch.empty_like(logit).uniform_(generator=generator)
    answer = uniform < logit.detach().sigmoid()
    log_probabilities = proposal + F.logsigmoid(torch.where(answer, logit, -logit))
    far = torch.tensor([logits.shape[-1], logits.shape[-2]], device=logits.device) - 1 - border
    inner = ((keypoints >= border) & (keypoints <= far)).all(-1)
    return Samples(keypoints, zero_where_not(log_probabilities, usable), usable, usable & answer & inner)
