"""The number format of the networks' forward and backward passes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from enum import Enum

import torch


class Precision(Enum):
    """Of the networks alone: geometry, sampling, rewards and losses are float32 always."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a network runs at a precision."""
    if precision is Precision.FP32:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision is Precision.BF16 else torch.float16)
