import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sliding_wall import wall, write_homography_set

from training.evaluation.cache import Cache
from training.evaluation.extraction import Extractor
from training.evaluation.pair_judgement import PairSetResult, judge_pairs
from training.evaluation.pair_sets import ImagePair, Resize, load_pair
from training.evaluation.protocols.homography_sets import HPATCHES, read_homography_set
from training.evaluation.protocols.scannet_1500 import SCANNET_1500
from training.evaluation.subjects import Kind, Subject

PROTOCOL = replace(HPATCHES, resize=Resize("short", 240), max_keypoints=300, thresholds=(1.0, 3.0))


@pytest.fixture
def sift(tmp_path: Path) -> Extractor:
    return Extractor(Subject("sift", Kind.DESCRIPTORS, "sift", 300), Cache(tmp_path / "cache"))


def test_homographies_of_a_flat_picture_are_found_to_a_pixel(tmp_path: Path, sift: Extractor) -> None:
    pairs = read_homography_set(write_homography_set(tmp_path / "set")).pairs
    result = judge_pairs(pairs, PROTOCOL, sift, seeds=2, tick=lambda: None)
    assert [pair.name for pair in result.pairs] == ["i_lamp 1-2", "i_lamp 1-3", "v_desk 1-2", "v_desk 1-3"]
    light = result.pairs[0]
    assert light.repeatability is not None and light.repeatability > 90
    assert light.matching_score is not None and light.matching_score > 80
    for pair in result.pairs:
        assert {threshold: len(errors) for threshold, errors in pair.errors.items()} == {1.0: 2, 3.0: 2}
        assert pair.errors[1.0][0] < 1.5
    (first, second) = result.auc(1.0, (1.0, 5.0))
    assert first[1] > 80 and second[1] > 80
    assert PairSetResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_the_reported_threshold_is_the_one_with_the_best_mean_auc(tmp_path: Path, sift: Extractor) -> None:
    pairs = read_homography_set(write_homography_set(tmp_path / "set")).pairs[:1]
    (pair,) = judge_pairs(pairs, PROTOCOL, sift, seeds=1, tick=lambda: None).pairs
    result = PairSetResult([replace(pair, errors={1.0: [4.0], 3.0: [0.5], 9.0: [2.0]})])
    assert result.best_threshold((1.0, 3.0, 5.0)) == 3.0


def test_a_pair_of_different_sizes_is_judged_in_the_pixels_of_the_resized_images(tmp_path: Path) -> None:
    for name, size in (("1.png", (400, 300)), ("2.png", (800, 600))):
        cv2.imwrite(str(tmp_path / name), cv2.resize(wall(400, 300), size))
    scale = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    pair = ImagePair("sizes", "other", tmp_path / "1.png", tmp_path / "2.png", scale)
    loaded = load_pair(pair, Resize("short", 240))
    assert [image.shape for image in loaded.images] == [(240, 320)] * 2
    np.testing.assert_allclose(loaded.homography, np.eye(3), atol=1e-9)


def test_relative_poses_are_judged_by_the_angle(tmp_path: Path, sift: Extractor) -> None:
    """Two walls at different depths, one before the other, seen by a camera that moves to the right."""
    near, far, focal = wall(500, 200, seed=1), wall(500, 200, seed=2), 300.0
    for name, shift in (("1.jpg", 0), ("2.jpg", 1)):
        top, bottom = far[:, 10 * shift : 10 * shift + 400], near[:, 30 * shift : 30 * shift + 400]
        cv2.imwrite(str(tmp_path / name), np.vstack([top, bottom]), [cv2.IMWRITE_JPEG_QUALITY, 98])
    matrix = np.array([[focal, 0, 199.5], [0, focal, 199.5], [0, 0, 1]])
    pose = np.eye(4)
    pose[0, 3] = -0.2
    pair = ImagePair("walls", "room", tmp_path / "1.jpg", tmp_path / "2.jpg", intrinsics=(matrix, matrix), pose=pose)
    protocol = replace(SCANNET_1500, resize=Resize("both", exact=(400, 400)), estimator="poselib")
    (score,) = judge_pairs([pair], protocol, sift, seeds=1, tick=lambda: None).pairs
    assert score.repeatability is None
    assert score.matching_score is not None and score.matching_score > 70
    assert score.errors[1.0][0] < 3
