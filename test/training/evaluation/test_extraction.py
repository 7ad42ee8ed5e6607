from pathlib import Path

import numpy as np
import pytest

import training.evaluation.subjects
from kp_ros.detectors import load_detector
from kp_ros.detectors.base import ModelError
from training.data.sequence import Sequence
from training.evaluation.cache import Cache
from training.evaluation.extraction import Extractor, sequence_digest
from training.evaluation.subjects import Kind, Subject, make_subjects


def test_features_are_the_detectors_and_are_computed_once(
    wall_sequence: Sequence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, image = Subject("orb", Kind.DESCRIPTORS, "orb", 100), wall_sequence.grey(0)
    expected = load_detector("orb", max_keypoints=100)(image)
    first = Extractor(subject, Cache(tmp_path))(image)
    monkeypatch.setattr(training.evaluation.subjects.Subject, "detector", lambda self: pytest.fail("computed again"))
    second = Extractor(subject, Cache(tmp_path))(image)
    for found in (first, second):
        np.testing.assert_array_equal(found.keypoints, expected.keypoints)
        np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def test_another_image_budget_or_model_is_another_entry(wall_sequence: Sequence, tmp_path: Path) -> None:
    image = wall_sequence.grey(0)
    counts = [
        len(Extractor(Subject(model, Kind.DESCRIPTORS, model, budget), Cache(tmp_path))(one).keypoints)
        for model, budget, one in (
            ("orb", 100, image),
            ("orb", 50, image),
            ("sift", 60, image),
            ("orb", 100, image[:60]),
        )
    ]
    assert 90 < counts[0] <= 100 and counts[1:3] == [50, 60]
    assert len({path.name for path in tmp_path.rglob("*.npz")}) == 4


def test_tracks_keep_their_ids_from_frame_to_frame(wall_sequence: Sequence, tmp_path: Path) -> None:
    extractor = Extractor(Subject("orb + tracks", Kind.TRACKS, "orb", 100), Cache(tmp_path))
    content = sequence_digest(wall_sequence)
    frames = extractor.sequence(wall_sequence, content, lambda: None)
    again = extractor.sequence(wall_sequence, content, lambda: pytest.fail("computed again"))
    assert len(frames) == len(wall_sequence)
    for one, two in zip(frames, again, strict=True):
        np.testing.assert_array_equal(one.keypoints, two.keypoints)
        np.testing.assert_array_equal(one.ids, two.ids)
    assert frames[0].ids is not None and frames[3].ids is not None
    assert len(np.intersect1d(frames[0].ids, frames[3].ids)) > 20


def test_a_sequences_digest_follows_images_poses_and_cameras(wall_sequence: Sequence) -> None:
    cut = wall_sequence.subset(range(4))
    other = wall_sequence.subset([0, 1, 2, 4])
    assert sequence_digest(cut) == sequence_digest(wall_sequence.subset(range(4)))
    assert sequence_digest(cut) != sequence_digest(other)


def test_subjects_are_named_after_their_files_and_told_apart() -> None:
    names = [subject.name for subject in make_subjects(["orb", "klt", "sift", "orb"], 100, tracks=True)]
    assert names == ["orb", "klt", "sift", "orb (2)"]
    with pytest.raises(ModelError, match="neither a file nor one of ours"):
        make_subjects(["no_such_model.onnx"], 100, tracks=True)
