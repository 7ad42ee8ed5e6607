import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.data.sequence import Sequence
from training.evaluation.cache import Cache
from training.evaluation.extraction import Extractor
from training.evaluation.linking import FlowLinker, KeypointLinker
from training.evaluation.relative_pose import EstimatorOptions
from training.evaluation.sequence_judgement import SequenceOptions, SequenceResult, judge_sequence
from training.evaluation.subjects import Kind, Subject

OPTIONS = SequenceOptions(gaps=(1, 4), stride=2, seeds=2, estimator=EstimatorOptions("poselib"))


def sift(sequence: Sequence, cache: Path) -> KeypointLinker:
    extractor = Extractor(Subject("sift", Kind.DESCRIPTORS, "sift", 300), Cache(cache))
    return KeypointLinker(extractor.sequence(sequence, "", lambda: None))


def test_a_wall_that_slides_by_is_repeated_and_matched_all_over(wall_sequence: Sequence, tmp_path: Path) -> None:
    result = judge_sequence(wall_sequence, sift(wall_sequence, tmp_path), OPTIONS, lambda: None)
    assert result.matched_by == "depth"
    assert result.repeatability[1] > 90
    assert result.matching_score[1] > 85
    assert result.pairs == {1: [0, 2, 4, 6, 8, 10], 4: [0, 2, 4, 6]}
    assert [len(run.pose_errors[4]) for run in result.runs] == [4, 4]
    # Nothing but the image's edge ends a track, and each verified frame is one of the track.
    (first, second) = result.runs
    assert first.aktl > 5
    assert first.vtl <= first.aktl
    assert first.vtl > 0.9 * first.aktl
    assert first.pose_errors != second.pose_errors


def test_without_depth_matches_are_judged_by_the_epipolar_geometry(wall_sequence: Sequence, tmp_path: Path) -> None:
    for changed in (replace(wall_sequence, load_depth=None), replace(wall_sequence, depth_registered=False)):
        result = judge_sequence(changed, sift(wall_sequence, tmp_path), OPTIONS, lambda: None)
        assert (result.matched_by, result.repeatability, result.runs[0].verified) == ("epipolar", {}, [])
        assert result.matching_score[1] > 85


def test_results_survive_json(wall_sequence: Sequence) -> None:
    result = judge_sequence(wall_sequence, FlowLinker(wall_sequence, 100), OPTIONS, lambda: None)
    assert SequenceResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_frame_without_keypoints_is_lost_and_the_others_are_judged(wall_sequence: Sequence, tmp_path: Path) -> None:
    linker = sift(wall_sequence, tmp_path)
    blank = linker.frames[5]
    linker.frames[5] = replace(blank, keypoints=blank.keypoints[:0], descriptors=blank.descriptors[:0])
    run = judge_sequence(wall_sequence, linker, OPTIONS, lambda: None).runs[0]
    assert run.lost == 2
    assert np.isfinite(run.ate)
    # No track goes through the blank frame: the longest are those after it.
    assert len(run.lengths) - 1 == 6


def test_a_sequence_without_poses_is_refused(wall_sequence: Sequence) -> None:
    with pytest.raises(ValueError, match="lacks cameras or poses"):
        judge_sequence(replace(wall_sequence, poses=None), FlowLinker(wall_sequence, 50), OPTIONS, lambda: None)
