from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from moving_picture import FRAMES, MOTION, PERIOD_NS, START_NS

from kp_ros.detectors import load_detector
from kp_ros.offline.extract import extract
from kp_ros.recordings.decoding import DecodedFrame, decode
from kp_ros.recordings.opening import open_recording
from kp_ros.recordings.output import OutputError
from kp_ros.tracking import load_tracker


@pytest.mark.parametrize(("model", "dtype", "width"), [("orb", np.uint8, 32), ("sift", np.float32, 128)])
def test_the_detectors_own_points(tmp_path: Path, source: Path, model: str, dtype: type, width: int) -> None:
    output = tmp_path / "features.npz"
    detector = load_detector(model, max_keypoints=200)
    summary = extract(open_recording(source), detector, output)
    with np.load(output) as arrays:
        z = dict(arrays)
    assert set(z) == {"names", "stamps", "offsets", "keypoints", "scores", "descriptors"}
    count = z["offsets"][-1]
    assert z["offsets"].dtype == np.int64
    assert z["offsets"].shape == (summary.frames + 1,) == (FRAMES,)
    assert (z["keypoints"].shape, z["keypoints"].dtype) == ((count, 2), np.float32)
    assert (z["scores"].shape, z["scores"].dtype) == ((count,), np.float32)
    assert (z["descriptors"].shape, z["descriptors"].dtype) == ((count, width), dtype)
    np.testing.assert_array_equal(np.sort(z["names"]), z["names"])
    assert z["stamps"].tolist() == [START_NS + index * PERIOD_NS for index in range(FRAMES) if index != 5]
    frames = [frame for index, frame in enumerate(open_recording(source).frames()) if index != 5]
    for index in (0, 7):
        features = detector(decode(frames[index].message))
        rows = slice(*z["offsets"][index : index + 2])
        np.testing.assert_array_equal(z["keypoints"][rows], features.keypoints)
        np.testing.assert_array_equal(z["descriptors"][rows], features.descriptors)


def test_the_trackers_points(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "tracks.npz"
    extract(
        open_recording(source), load_detector("orb", max_keypoints=200), output, tracker=load_tracker(max_tracks=200)
    )
    with np.load(output) as z:
        assert z["track_id"].dtype == np.int64
        assert len(z["track_id"]) == len(z["descriptors"]) == z["offsets"][-1]
        frame = [slice(*z["offsets"][index : index + 2]) for index in range(9)]
        _, before, after = np.intersect1d(z["track_id"][frame[1]], z["track_id"][frame[2]], return_indices=True)
        assert len(before) > 50
        moved = z["keypoints"][frame[2]][after] - z["keypoints"][frame[1]][before]
        np.testing.assert_allclose(np.median(moved, axis=0), MOTION, atol=0.1)


def test_points_without_descriptors(tmp_path: Path, source: Path) -> None:
    extract(open_recording(source), load_detector("gftt", max_keypoints=50), tmp_path / "corners.npz")
    with np.load(tmp_path / "corners.npz") as z:
        assert z["descriptors"].shape == (z["offsets"][-1], 0)


def test_ctrl_c_finishes_the_file(tmp_path: Path, source: Path) -> None:
    def interrupted(frames: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        for frame in frames:
            signal.raise_signal(signal.SIGINT)
            yield frame

    summary = extract(open_recording(source), load_detector("orb"), tmp_path / "f.npz", watch=interrupted)
    assert summary.interrupted
    with np.load(tmp_path / "f.npz") as z:
        assert len(z["names"]) == summary.frames == 1


def test_full_disk(tmp_path: Path, source: Path) -> None:
    (tmp_path / f".f.{os.getpid()}.part.npz").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        extract(open_recording(source), load_detector("orb"), tmp_path / "f.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["source.mcap"]
