from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from kp_ros.ros.odometry_parameters import OdometrySettings
from kp_ros.ros.parameters import Settings, descriptor_of, refusal

CHECKOUT = Path(__file__).resolve().parents[2]
OWN = [one for one in fields(OdometrySettings) if one.name not in Settings.__dataclass_fields__]


def test_every_parameter_is_described_and_bounded() -> None:
    for one in OWN:
        descriptor = descriptor_of(one)
        assert descriptor.description
        assert descriptor.additional_constraints
        number = isinstance(one.default, (int, float)) and not isinstance(one.default, bool)
        assert bool(descriptor.integer_range or descriptor.floating_point_range) == number, one.name


def test_the_parameter_file_holds_every_default_with_its_meaning() -> None:
    text = (CHECKOUT / "config" / "odometry.yaml").read_text()
    given = yaml.safe_load(text)["/**"]["odometry_node"]["ros__parameters"]
    assert given == {one.name: one.default for one in fields(OdometrySettings)}
    comments = " ".join(line.strip(" #") for line in text.splitlines() if line.strip().startswith("#"))
    for one in fields(OdometrySettings):
        assert one.metadata["description"] in comments, one.name


def test_the_documentation_names_every_parameter() -> None:
    text = (CHECKOUT / "docs" / "odometry.md").read_text()
    for one in OWN:
        assert f"`{one.name}`" in text, one.name


@pytest.mark.parametrize(
    ("changes", "configured", "reason"),
    [
        ({"mode": "lidar"}, False, "mode is 'lidar'; choose one of: mono, stereo, rgbd"),
        ({"mode": "mono"}, True, "deactivate and clean it up first"),
        ({"mode": "mono"}, False, ""),
        ({"camera_x": 0.5}, True, "deactivate and clean it up first"),
        ({"path_length": 10, "max_tracks": 30}, True, ""),
        ({"depth_transport": "rvl"}, False, "choose one of: raw, compressedDepth"),
    ],
)
def test_changes(changes: dict[str, object], configured: bool, reason: str) -> None:
    assert reason in refusal(changes, OdometrySettings(), configured)
    assert bool(refusal(changes, OdometrySettings(), configured)) == bool(reason)
