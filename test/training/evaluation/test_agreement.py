"""The numbers are those of the reference script in ../shared, on equal features."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from training.data.readers.opening import open_sequences
from training.data.sequence import Sequence
from training.evaluation.cache import Cache
from training.evaluation.extraction import Extractor, Keypoints
from training.evaluation.linking import FlowLinker, KeypointLinker, Linker
from training.evaluation.recall import area_under_curve
from training.evaluation.sequence_judgement import SequenceOptions, SequenceResult, judge_sequence
from training.evaluation.subjects import Kind, Subject

FRAMES, GAP, STRIDE, KEYPOINTS = 14, 4, 2, 400


@pytest.fixture(scope="module")
def reference(shared_data: Path) -> ModuleType:
    file = shared_data.parent / "eval" / "vo_metrics.py"
    if not file.is_file():
        pytest.skip(f"no {file}")
    specification = importlib.util.spec_from_file_location("vo_metrics", file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of a hand-held sequence with depth. Grey, since JPEG's own grey is not that of its colours."""
    source, folder = shared_data / "hololens", tmp_path_factory.mktemp("cut") / "hololens"
    for part in ("images", "depth"):
        (folder / part).mkdir(parents=True)
        for file in sorted((source / part).iterdir())[:FRAMES]:
            if part == "images":
                grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
                cv2.imwrite(str(folder / part / f"{file.stem}.png"), grey)
            else:
                shutil.copy(file, folder / part)
    shutil.copy(source / "calib.json", folder)
    lines = (source / "poses_tum.txt").read_text().splitlines()
    poses = [line for line in lines if not line.startswith("#")][:FRAMES]
    (folder / "poses_tum.txt").write_text("\n".join(poses))
    return folder


@pytest.fixture(scope="module")
def sequence(folder: Path) -> Sequence:
    return open_sequences(folder)[0]


@pytest.fixture(scope="module")
def orb(sequence: Sequence, tmp_path_factory: pytest.TempPathFactory) -> list[Keypoints]:
    extractor = Extractor(Subject("orb", Kind.DESCRIPTORS, "orb", KEYPOINTS), Cache(tmp_path_factory.mktemp("cache")))
    return extractor.sequence(sequence, "", lambda: None)


def judged(sequence: Sequence, linker: Linker) -> SequenceResult:
    return judge_sequence(sequence, linker, SequenceOptions((GAP,), STRIDE, seeds=1), lambda: None)


def check(result: SequenceResult, expected: dict[str, Any]) -> None:
    (run,) = result.runs
    assert run.inliers == pytest.approx(expected["inl"])
    assert run.aktl == pytest.approx(expected["aktl"])
    assert run.vtl == pytest.approx(expected["vtl"])
    assert sum(run.verified[10:]) == expected["ok10"]
    assert run.ate == pytest.approx(expected["ate"], rel=1e-6)
    auc = "/".join(f"{area:.1f}" for area in area_under_curve(run.pose_errors[GAP], (5, 10, 20)))
    assert auc == expected[f"auc@{GAP}"]


def test_descriptors(reference: ModuleType, folder: Path, sequence: Sequence, orb: list[Keypoints]) -> None:
    features = [(frame.keypoints, frame.descriptors) for frame in orb]
    expected = reference.run(reference.Seq(str(folder)), features, [GAP], STRIDE)
    result = judged(sequence, KeypointLinker(orb))
    check(result, expected)
    assert result.keypoints == pytest.approx(expected["kp"])
    assert result.repeatability[GAP] == pytest.approx(expected[f"rep@{GAP}"])


def test_track_ids(reference: ModuleType, folder: Path, sequence: Sequence, orb: list[Keypoints]) -> None:
    # Tracks of descriptors' matches, wrong ones among them.
    linker, ids, fresh = KeypointLinker(orb), [np.arange(len(orb[0].keypoints), dtype=np.uint32)], 10**6
    for frame in range(1, len(orb)):
        links = linker.link(frame)
        own = np.arange(fresh, fresh + len(orb[frame].keypoints), dtype=np.uint32)
        rows = linker.advance(frame, links, np.ones(len(links.sources), np.bool_))[1]
        own[rows] = ids[-1][links.sources]
        ids.append(own)
        fresh += len(own)
    tracks = [Keypoints(frame.keypoints, frame.descriptors, own) for frame, own in zip(orb, ids, strict=True)]
    features = [(frame.keypoints, frame.descriptors) for frame in orb]
    expected = reference.run(reference.Seq(str(folder)), features, [GAP], STRIDE, ids=ids)
    check(judged(sequence, KeypointLinker(tracks)), expected)


def test_optical_flow(reference: ModuleType, folder: Path, sequence: Sequence) -> None:
    expected = reference.run(reference.Seq(str(folder)), None, [GAP], STRIDE, n=KEYPOINTS)
    check(judged(sequence, FlowLinker(sequence, KEYPOINTS)), expected)
