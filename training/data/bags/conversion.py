"""A bag becomes a data set: read once to decide, once more to write."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from kp_ros.recordings.bag_messages import BagMessages, open_bag
from kp_ros.recordings.output import explained
from kp_ros.recordings.recording import RecordingError
from training.data.bags.labelling import label_pairs
from training.data.bags.matching import Matcher, own_detector
from training.data.bags.planning import ConversionOptions, make_plan
from training.data.bags.pose_choice import choose_reading
from training.data.bags.report import Report
from training.data.bags.survey import survey
from training.data.bags.topics import choose_topics
from training.data.bags.writing import write_calibration, write_frames, write_poses
from training.data.pairs import write_pairs
from training.data.sequence import NANOSECONDS, DatasetError


class Watcher:
    """Hears how the work goes on; a progress bar derives from it."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins that has ``total`` steps."""

    def step(self) -> None:
        """One step is done."""


def convert(bag_path: Path, output: Path, options: ConversionOptions, watcher: Watcher | None = None) -> Report:
    """Make a data set of a bag.

    :param output: the folder to make; it appears when all is written.
    :raises RecordingError: the bag cannot be read, or has no images.
    :raises DatasetError: the output is there already, or nothing can be kept.
    :raises OutputError: the disk is full, or may not be written to.
    """
    if not bag_path.exists():
        raise RecordingError(f"{bag_path} does not exist; give a bag (.mcap, .db3, .bag, or a rosbag2 folder)")
    if output.exists() and any(output.iterdir()):
        raise DatasetError(f"{output} is there already; name a new folder with --output")
    watcher = watcher or Watcher()
    bag = open_bag(bag_path)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with explained(output):
            (partial / "images").mkdir(parents=True)
            report = _convert(bag, bag_path, partial, options, watcher)
            if output.exists():
                output.rmdir()
            partial.rename(output)
        return report
    finally:
        bag.close()
        shutil.rmtree(partial, ignore_errors=True)


def _convert(bag: BagMessages, path: Path, folder: Path, options: ConversionOptions, watcher: Watcher) -> Report:
    topics = choose_topics(bag, options.topics)
    counts = {topic.name: topic.count for topic in bag.topics}
    watcher.stage("reading", counts.get(topics.image))
    found = survey(bag, topics, watcher.step)
    notes = list(topics.notes)
    plan = make_plan(found, topics, options, notes)
    watcher.stage("writing", len(plan.dropped))
    names, kept = write_frames(bag, topics, plan, folder, options, watcher.step)
    if not names:
        raise DatasetError(f"{path}: no image of {topics.image} can be kept: {_counted(plan.dropped)}")
    files = tuple(sorted((folder / "images").iterdir()))
    matcher = Matcher(files, own_detector(), watcher.step)
    poses = choose_reading(plan, kept, matcher, notes)
    if poses.kept is not None:
        write_poses(folder / "poses_tum.txt", plan.stamps_ns[kept], poses.kept)
    if plan.camera is not None:
        write_calibration(folder / "calib.json", plan.camera, with_depth=plan.depth_of is not None)
    pairs = []
    if options.pairs and len(kept) > 1:
        watcher.stage("pairing", len(kept))
        pairs = label_pairs(matcher, tuple(names))
        write_pairs(pairs, folder)
    if bag.damage:
        notes.append(bag.damage)
    stamps = plan.stamps_ns[kept]
    report = Report(
        bag=str(path),
        topics={
            "images": topics.image,
            "calibration": topics.camera_info if plan.camera is not None else None,
            "depth": topics.depth if plan.depth_of is not None else None,
            "poses": poses.report.source if poses.kept is not None else None,
        },
        images=len(plan.dropped),
        kept=len(kept),
        dropped=dict(Counter(reason for reason in plan.dropped if reason).most_common()),
        seconds=float(stamps[-1] - stamps[0]) / NANOSECONDS,
        poses=poses.report,
        positive_pairs=sum(pair.label > 0 for pair in pairs),
        negative_pairs=sum(pair.label < 0 for pair in pairs),
        notes=tuple(notes),
        problems=tuple(f"image {index}: {reason}" for index, reason in sorted(found.problems.items())),
    )
    report.write(folder)
    return report


def _counted(dropped: list[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(filter(None, dropped)).most_common())
