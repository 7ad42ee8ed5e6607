import numpy as np

from training.data.sequence import Sequence
from training.evaluation.extraction import Keypoints
from training.evaluation.linking import FlowLinker, KeypointLinker


def test_flow_carries_corners_along_and_fills_up_with_new_ones(wall_sequence: Sequence) -> None:
    linker = FlowLinker(wall_sequence, 200)
    first = linker.begin()
    links = linker.link(1)
    moved = links.second - links.first
    assert np.median(np.abs(moved - (-6, 0)), axis=0).max() < 0.1
    kept = np.zeros(len(links.sources), np.bool_)
    kept[: len(kept) // 2] = True
    points, rows = linker.advance(1, links, kept)
    np.testing.assert_array_equal(points[rows], links.second[kept])
    assert len(rows) < len(points) <= 200
    # New corners keep away from those that go on.
    fresh = points[len(rows) :]
    distances = np.linalg.norm(fresh[:, None] - points[rows][None], axis=2)
    assert distances.min() > 6
    np.testing.assert_array_equal(linker.begin(), first)


def test_a_flow_pair_goes_through_all_frames_in_between(wall_sequence: Sequence) -> None:
    keypoints, links = FlowLinker(wall_sequence, 200).pair(2, 6)
    np.testing.assert_array_equal(keypoints[links.sources], links.first)
    assert np.median(np.abs(links.second - links.first - (-24, 0)), axis=0).max() < 0.2


def test_keypoints_with_ids_are_linked_by_them_and_others_by_descriptors() -> None:
    points = np.array([[1, 1], [2, 2]], np.float32)
    descriptors = np.eye(2, dtype=np.float32)
    by_descriptor = KeypointLinker([Keypoints(points, descriptors), Keypoints(points, descriptors[::-1])])
    links = by_descriptor.pair(0, 1)[1]
    assert links.second.tolist() == [[2, 2], [1, 1]]
    ids = [np.array([5, 6], np.uint32), np.array([6, 7], np.uint32)]
    tracked = KeypointLinker([Keypoints(points, descriptors, one) for one in ids])
    tracked.begin()
    links = tracked.link(1)
    assert (links.first.tolist(), links.second.tolist()) == ([[2, 2]], [[1, 1]])
    keypoints, rows = tracked.advance(1, links, np.array([True]))
    assert (keypoints.tolist(), rows.tolist()) == (points.tolist(), [0])
