"""The node's state as diagnostic_msgs: what is wrong is a warning that names the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from kp_ros.detectors.base import DetectorInfo
from kp_ros.ros.parameters import Settings
from kp_ros.ros.statistics import PERCENTILES, Snapshot

#: Share of dropped or lost images above which the diagnostics warn.
MOST_DROPS = 0.01


@dataclass(frozen=True)
class NodeState:
    """What the diagnostics are made from.

    :ivar name: of the node, fully qualified.
    :ivar lifecycle: ``unconfigured``, ``inactive``, ``active``, ...
    :ivar problem: why the last transition failed; empty where it did not.
    :ivar image_topic: where images come from.
    :ivar image_publishers: how many publish there.
    :ivar camera_problem: why there is no calibration; empty where there is one.
    :ivar model: None where none is loaded.
    :ivar building: what is built in the background, and how far it is; empty when nothing is.
    :ivar statistics: None unless the node is active.
    :ivar input_problem: why images that come cannot be used; empty where they can.
    """

    name: str
    lifecycle: str
    problem: str
    settings: Settings
    image_topic: str
    image_publishers: int
    camera_problem: str
    model: DetectorInfo | None
    statistics: Snapshot | None
    building: str = ""
    input_problem: str = ""


def diagnose(state: NodeState) -> list[DiagnosticStatus]:
    """Judge the node: its state always, input, speed, tracks and calibration while it is active."""
    statuses = [_node(state)]
    if state.statistics is not None:
        snapshot = state.statistics
        statuses += [_input(state, snapshot), _speed(state, snapshot), _tracks(state, snapshot), _camera(state)]
    return statuses


def _status(state: NodeState, subject: str, problem: str, well: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
        name=f"{state.name.lstrip('/')}: {subject}",
        message=problem or well,
        hardware_id=state.image_topic,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def _node(state: NodeState) -> DiagnosticStatus:
    values: dict[str, Any] = {"state": state.lifecycle}
    if state.model is not None:
        values |= {"model": state.model.name, "backend": state.model.backend, "precision": state.model.precision}
    if state.building:
        values["building"] = state.building
    well = f"{state.lifecycle}; builds {state.building}" if state.building else state.lifecycle
    status = _status(state, "node", state.problem, well, values)
    if state.problem:
        status.level = DiagnosticStatus.ERROR
    return status


def _input(state: NodeState, snapshot: Snapshot) -> DiagnosticStatus:
    counts, recent = snapshot.counts, snapshot.recent
    rate = recent.received / snapshot.recent_seconds
    problem = ""
    if state.input_problem:
        problem = state.input_problem
    elif snapshot.silent_seconds > state.settings.image_timeout and not recent.lost:
        problem = f"no image on {state.image_topic} for {snapshot.silent_seconds:.1f} s; " + (
            "its publisher is silent: check the camera"
            if state.image_publishers
            else "nobody publishes there: start the camera, remap image, or set image_transport"
        )
    elif recent.failed:
        problem = f"{recent.failed} of {recent.received} images could not be used; the last: {snapshot.last_failure}"
    elif recent.lost > MOST_DROPS * (recent.received + recent.lost):
        problem = (
            f"{recent.lost} images lost on the way, {recent.received} received: let the camera publish reliably, or "
            "send smaller or compressed images, or give the DDS more shared memory"
        )
    elif recent.time_jumps:
        problem = f"{recent.time_jumps} stamps did not advance: let one camera alone publish, with its own stamps"
    values = {
        "topic": state.image_topic,
        "publishers": state.image_publishers,
        "rate (Hz)": f"{rate:.1f}",
        "received": counts.received,
        "lost": counts.lost,
        "failed": counts.failed,
        "stamps that did not advance": counts.time_jumps,
    }
    return _status(state, "input", problem, f"{rate:.1f} images a second", values)


def _speed(state: NodeState, snapshot: Snapshot) -> DiagnosticStatus:
    rate = snapshot.recent.published / snapshot.recent_seconds
    problem = ""
    if snapshot.drop_share > MOST_DROPS:
        problem = (
            f"{snapshot.drop_share:.0%} of the images dropped: too slow for them; lower max_keypoints or max_tracks, "
            "send smaller images or fewer, raise threads, or choose a faster backend"
        )
    values: dict[str, Any] = {
        "rate (Hz)": f"{rate:.1f}",
        "published": snapshot.counts.published,
        "dropped": snapshot.counts.dropped,
    }
    for stage, milliseconds in snapshot.milliseconds.items():
        values |= {f"{stage} p{p} (ms)": f"{ms:.2f}" for p, ms in zip(PERCENTILES, milliseconds, strict=True)}
    return _status(state, "speed", problem, f"{rate:.1f} images a second published", values)


def _tracks(state: NodeState, snapshot: Snapshot) -> DiagnosticStatus:
    problem = ""
    if snapshot.counts.published and snapshot.tracks < state.settings.min_tracks:
        problem = (
            f"only {snapshot.tracks} points followed, {snapshot.keypoints} detected: check focus, exposure and motion "
            "blur; lower score_threshold"
        )
    values = {
        "tracks": snapshot.tracks,
        "median age (frames)": f"{snapshot.median_age:.0f}",
        "keypoints": snapshot.keypoints,
    }
    return _status(state, "tracks", problem, f"{snapshot.tracks} points followed", values)


def _camera(state: NodeState) -> DiagnosticStatus:
    return _status(state, "calibration", state.camera_problem, "calibrated", {})
