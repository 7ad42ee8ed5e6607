"""What ``~/model`` says, live and in a bag."""

from __future__ import annotations

import json
from dataclasses import asdict

from kp_ros import __version__
from kp_ros.detectors.base import DetectorInfo


def describe_model(info: DetectorInfo) -> str:
    """A JSON object with the fields of DetectorInfo and ``kp_ros_version``."""
    return json.dumps({**asdict(info), "kp_ros_version": __version__})
