"""PoseLib, imported when it is first needed: odometry is an extra."""

from __future__ import annotations

from typing import Any

from kp_ros.errors import UserError


def poselib() -> Any:
    """Import PoseLib.

    :raises UserError: it is not installed.
    """
    try:
        import poselib
    except ImportError as error:
        raise UserError('odometry needs PoseLib, which is not installed: pip install "kp_ros[odometry]"') from error
    return poselib
