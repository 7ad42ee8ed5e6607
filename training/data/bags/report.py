"""What became of a bag: for people (Markdown, with a picture) and for programs (JSON)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.sequence import read_image

#: Kept frames that the report shows, and how high each is, pixels.
SHOWN = 12
COLUMNS = 4
THUMBNAIL_WIDTH = 320
PROBLEMS_SHOWN = 10


@dataclass(frozen=True)
class PoseReport:
    """How the poses were read.

    :ivar source: which topics and frames; empty without poses.
    :ivar agreement: median distance of matches from the epipolar lines that the poses give, pixels; NaN: not tested.
    :ivar pairs: of frames that were tested.
    :ivar given: the bag or the user says how the camera is mounted.
    """

    source: str
    agreement: float
    pairs: int
    given: bool


@dataclass(frozen=True)
class Report:
    """What was kept of a bag, what was not, and why.

    :ivar bag: path of it.
    :ivar topics: images, calibration, depth, poses -> topic or None.
    :ivar images: in the bag.
    :ivar kept: of them.
    :ivar dropped: reason -> how many.
    :ivar seconds: from the first kept image to the last.
    :ivar poses: how they were read.
    :ivar positive_pairs: of the same scene.
    :ivar negative_pairs: of different scenes.
    :ivar notes: what the user should know.
    :ivar problems: images that could not be decoded, with the reason.
    """

    bag: str
    topics: dict[str, str | None]
    images: int
    kept: int
    dropped: dict[str, int]
    seconds: float
    poses: PoseReport
    positive_pairs: int
    negative_pairs: int
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write ``report.json``, ``report.md`` and ``overview.jpg`` into the data set's folder."""
        content = asdict(self)
        if math.isnan(self.poses.agreement):
            content["poses"]["agreement"] = None
        (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n")
        _write_overview(folder)
        (folder / "report.md").write_text(self.markdown())

    def markdown(self) -> str:
        """The report for people."""
        kinds = [kind for kind, topic in self.topics.items() if topic and kind != "images"]
        lines = [
            f"# {Path(self.bag).name} as a data set",
            "",
            f"{self.kept} of {self.images} images were kept ({self.seconds:.1f} s), "
            f"with {_listed(kinds) or 'nothing beside them'}.",
            "",
            "![Some of the kept images](overview.jpg)",
            "",
            "| | taken from |",
            "|---|---|",
            *(f"| {kind} | {topic or 'none'} |" for kind, topic in self.topics.items()),
            "",
        ]
        if self.poses.source and self.poses.pairs:
            lines += [
                f"The poses agree with the images to {self.poses.agreement:.2f} px (median distance of matches from "
                f"their epipolar lines, {self.poses.pairs} pairs of frames).",
                "",
            ]
        lines += ["| images | number |", "|---|---|", f"| kept | {self.kept} |"]
        lines += [f"| {reason} | {count} |" for reason, count in self.dropped.items()]
        lines += [
            "",
            f"Labelled pairs: {self.positive_pairs} of the same scene, {self.negative_pairs} of different ones.",
        ]
        lines += ["", "What it can train:", "", *(f"- {sentence}" for sentence in self._uses())]
        if self.notes:
            lines += ["", "## What to know", "", *(f"- {note}" for note in self.notes)]
        if self.problems:
            lines += ["", "## Images that could not be decoded", ""]
            lines += [f"- {problem}" for problem in self.problems[:PROBLEMS_SHOWN]]
            if len(self.problems) > PROBLEMS_SHOWN:
                lines.append(f"- and {len(self.problems) - PROBLEMS_SHOWN} more (report.json has all)")
        return "\n".join(lines) + "\n"

    def _uses(self) -> list[str]:
        uses = ["pre-training (photographs suffice)"]
        if self.positive_pairs:
            uses.append("RIPE (pairs suffice)")
        calibrated = self.topics["calibration"] is not None and self.topics["poses"] is not None
        if calibrated:
            uses.append("RFP (calibration and poses)")
        if calibrated and self.topics["depth"] is not None:
            uses.append("DaD and TraqPoint (calibration, poses and depth)")
        return uses


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _write_overview(folder: Path) -> None:
    files = sorted((folder / "images").iterdir())
    chosen = [files[index] for index in np.unique(np.linspace(0, len(files) - 1, SHOWN).round().astype(int))]
    images = [read_image(file) for file in chosen]
    height = round(THUMBNAIL_WIDTH * images[0].shape[0] / images[0].shape[1])
    small = [cv2.resize(image, (THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA) for image in images]
    columns = min(COLUMNS, len(small))
    small += [np.full_like(small[0], 255)] * (-len(small) % columns)
    rows = [cv2.hconcat(small[start : start + columns]) for start in range(0, len(small), columns)]
    cv2.imwrite(str(folder / "overview.jpg"), cv2.vconcat(rows))
