"""The methods by name."""

from __future__ import annotations

from typing import Any

from kp_ros.errors import UserError
from training.methods.dad import DAD
from training.methods.distillation import DISTILLATION
from training.methods.method import Method
from training.methods.rfp import RFP
from training.methods.ripe import RIPE
from training.methods.traqpoint import TRAQPOINT

#: One line a method.
ALL: tuple[Method[Any], ...] = (
    RFP,
    RIPE,
    DAD,
    DISTILLATION,
    TRAQPOINT,
)
METHODS = {method.name: method for method in ALL}


def find_method(name: str) -> Method[Any]:
    """A method by its name.

    :raises UserError: there is none of this name.
    """
    if name not in METHODS:
        raise UserError(f"there is no method '{name}'; choose one of {', '.join(sorted(METHODS))}")
    return METHODS[name]
