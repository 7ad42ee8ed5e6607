"""Where the files that come with the package lie: models, launch files and configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kp_ros.errors import UserError

#: What marks a folder as ours: every installation of a ROS package has its manifest there.
MARKER = "package.xml"


def _candidates() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    # A checkout, pip's editable install and colcon's --symlink-install: the code lies beside the files.
    yield package.parent
    # pip and colcon put both under one prefix (PREFIX/lib/python3.x/site-packages/kp_ros, PREFIX/share/kp_ros). Going
    # up from the code rather than trusting the environment finds the files of this copy and no other's.
    yield from (parent / "share" / "kp_ros" for parent in package.parents)
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    yield from (Path(prefix) / "share" / "kp_ros" for prefix in prefixes if prefix)
    yield Path(sys.prefix) / "share" / "kp_ros"


@cache
def share_directory() -> Path:
    """The folder that holds ``models/``, ``launch/`` and ``config/``.

    It is the checkout itself, or ``share/kp_ros`` of the prefix that pip or colcon installed to.

    :raises UserError: the package was copied without its files.
    """
    for candidate in _candidates():
        if (candidate / MARKER).is_file():
            return candidate
    raise UserError(
        "the models and configuration of kp_ros are not installed beside its code; "
        "install the whole package: pip install . or colcon build, in a checkout of kp_ros"
    )


def models_directory() -> Path:
    """Where the ONNX models and their cards lie.

    :raises UserError: see :func:`share_directory`.
    """
    return share_directory() / "models"
