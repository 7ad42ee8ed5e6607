"""The layouts name topics and fields that the node has, and panels that they define."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kp_ros.point_cloud import KEYPOINT_DTYPE, TRACK_DTYPE

CONFIG = Path(__file__).resolve().parents[1] / "config"
TOPICS = {f"/keypoint_node/{name}" for name in ("keypoints", "tracks", "features", "debug_image", "model")}
FIELDS = {"/keypoint_node/keypoints": KEYPOINT_DTYPE.names, "/keypoint_node/tracks": TRACK_DTYPE.names}


def panels(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_rviz_shows_what_the_node_publishes() -> None:
    displays = yaml.safe_load((CONFIG / "keypoints.rviz").read_text())["Visualization Manager"]["Displays"]
    shown = {display["Topic"]["Value"]: display for display in displays if "Topic" in display}
    assert {"/keypoint_node/debug_image", "/keypoint_node/tracks"} <= shown.keys() <= TOPICS
    for topic, display in shown.items():
        if "Channel Name" in display:
            assert display["Channel Name"] in FIELDS[topic]


def test_rviz_shows_odometry() -> None:
    layout = yaml.safe_load((CONFIG / "odometry.rviz").read_text())["Visualization Manager"]
    shown = {display["Topic"]["Value"]: display for display in layout["Displays"] if "Topic" in display}
    published = {f"/odometry_node/{name}" for name in ("path", "odometry", "landmarks", "debug_image")}
    assert shown.keys() == published
    assert shown["/odometry_node/landmarks"]["Channel Name"] == "deviation"
    # The node's own defaults.
    frames = yaml.safe_load((CONFIG / "odometry.yaml").read_text())["/**"]["odometry_node"]["ros__parameters"]
    assert layout["Global Options"]["Fixed Frame"] == frames["odom_frame"]
    assert layout["Views"]["Current"]["Target Frame"] == frames["base_frame"]


def test_foxglove_shows_what_the_node_publishes() -> None:
    layout = json.loads((CONFIG / "keypoints.foxglove.json").read_text())
    panel = layout["configById"]
    assert sorted(panels(layout["layout"])) == sorted(panel)
    clouds = panel["3D!tracks"]["topics"]
    plotted = {path["value"].rpartition(".")[0] for path in panel["Plot!counts"]["paths"]}
    shown = {panel["Image!debug"]["imageMode"]["imageTopic"], panel["RawMessages!model"]["topicPath"]}
    assert {*clouds, *plotted, *shown} <= TOPICS
    for topic, settings in clouds.items():
        assert settings["colorField"] in FIELDS[topic]
