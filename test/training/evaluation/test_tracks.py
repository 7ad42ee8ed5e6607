import numpy as np

from training.data.sequence import Sequence
from training.evaluation.reprojection import DepthReprojection
from training.evaluation.tracks import TrackBook


def points(*x: float) -> np.ndarray:
    return np.array([[one, 100.0] for one in x], np.float32)


def test_lengths_are_counted_in_frames_and_single_points_are_no_tracks() -> None:
    book = TrackBook(points(10, 20, 30), None)
    book.step(1, np.array([0, 2]), points(30, 10, 90), np.array([1, 0]))
    book.step(2, np.array([1]), points(10), np.array([0]))
    lengths, _ = book.lengths()
    # The first point goes on for three frames, the third for two, the second and the new one for one.
    assert sorted(lengths.tolist()) == [2, 3]


def test_the_verified_length_stops_where_the_track_leaves_its_point(wall_sequence: Sequence) -> None:
    book = TrackBook(points(200, 250), DepthReprojection(wall_sequence))
    both = np.array([0, 1])
    # Every frame moves the wall by six pixels; the second track slips off by four pixels in frame 2, and comes back.
    book.step(1, both, points(194, 244), both)
    book.step(2, both, points(188, 242), both)
    book.step(3, both, points(182, 232), both)
    lengths, verified = book.lengths()
    assert lengths.tolist() == [4, 4]
    assert verified.tolist() == [4, 2]


def test_tracks_are_judged_by_where_they_began(wall_sequence: Sequence) -> None:
    book = TrackBook(points(200), DepthReprojection(wall_sequence))
    one = np.array([0])
    # Two pixels a frame are little, but they add up.
    for frame in range(1, 5):
        book.step(frame, one, points(200 - 4 * frame), one)
    lengths, verified = book.lengths()
    assert (lengths.tolist(), verified.tolist()) == ([5], [2])
