"""Of several ways to read a bag's poses, the one with which the images agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.bags.matching import Matcher
from training.data.bags.planning import Plan
from training.data.bags.pose_check import check_poses
from training.data.bags.report import PoseReport
from training.data.sequence import Poses

#: A guessed reading of the poses must agree with the images to this, pixels at 640 pixels of width.
GUESS_AGREES = 4.0
#: The second reading must be so much better than the first to be believed.
CLEARLY_BETTER = 0.5


@dataclass(frozen=True, eq=False)
class ReadPoses:
    """:ivar kept: float64 [N, 4, 4], of the kept frames; None without poses.
    :ivar report: what was found out.
    """

    kept: Poses | None
    report: PoseReport


def choose_reading(plan: Plan, kept: NDArray[np.intp], matcher: Matcher, notes: list[str]) -> ReadPoses:
    """The way to read the poses with which the images agree."""
    nothing = ReadPoses(None, PoseReport("", float("nan"), 0, False))
    if not plan.readings:
        return nothing
    first = plan.readings[0]
    if plan.camera is None or len(kept) < 2:
        why = "there is no calibration" if plan.camera is None else "there is one frame only"
        notes.append(f"poses could not be tested against the images: {why}; taken as {first.told}")
        return ReadPoses(first.poses[kept], PoseReport(first.told, float("nan"), 0, first.given))
    agreements = check_poses([reading.poses[kept] for reading in plan.readings], plan.camera, matcher)
    best = 0
    if len(agreements) > 1 and agreements[1].pixels < CLEARLY_BETTER * agreements[0].pixels:
        best = 1
    reading, agreement = plan.readings[best], agreements[best]
    limit = GUESS_AGREES * max(1.0, plan.camera.width / 640)
    report = PoseReport(reading.told, agreement.pixels, agreement.pairs, reading.given)
    if agreement.pairs == 0:
        notes.append(f"poses could not be tested against the images: too few matches; taken as {reading.told}")
        return ReadPoses(reading.poses[kept], report)
    if best == 1:
        notes.append(
            f"poses: {plan.readings[0].told} does not fit the images ({agreements[0].pixels:.1f} px from the epipolar "
            f"lines), {reading.told} does ({agreement.pixels:.1f} px)"
        )
    if agreement.pixels > limit:
        text = f"matches lie {agreement.pixels:.1f} px from their epipolar lines (median of {agreement.pairs} pairs)"
        if not reading.given:
            notes.append(
                f"poses left out: nothing says how the camera is mounted, and no convention fits the images ({text}); "
                "record /tf_static, or give --camera-pose"
            )
            return nothing
        notes.append(f"the poses do not fit the images well: {text}; check calibration, mounting and clocks")
    return ReadPoses(reading.poses[kept], report)
