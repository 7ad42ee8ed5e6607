from __future__ import annotations

import numpy as np
import pytest

from kp_ros.drawing import OLD, REACH, TrackTails, colour_of, draw_tracks
from kp_ros.features import Tracks


def tracks(points: dict[int, tuple[float, float]], age: int = 1) -> Tracks:
    count = len(points)
    return Tracks(
        np.array(list(points), np.uint32),
        np.full(count, age, np.uint32),
        np.array(list(points.values()), np.float32).reshape(-1, 2),
        np.zeros((count, 2), np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 0), np.float32),
    )


def coloured(picture: np.ndarray) -> np.ndarray:
    """Where a picture is neither grey nor black."""
    return np.asarray(picture.max(2).astype(int) - picture.min(2) > 60)


def test_tails_follow_their_tracks() -> None:
    tails = TrackTails(length=2)
    for frame in range(4):
        tails.update(tracks({7: (frame, 10.0), 4: (50.0, frame)}))
    history = tails.history(np.array([4, 7], np.uint32))
    np.testing.assert_array_equal(history, [[[50, 1], [50, 2], [50, 3]], [[1, 10], [2, 10], [3, 10]]])
    tails.update(tracks({4: (50.0, 4.0)}))
    # An id that comes back begins anew: where it was meanwhile is not known.
    tails.update(tracks({7: (80.0, 80.0), 4: (50.0, 5.0)}))
    history = tails.history(np.array([7, 4], np.uint32))
    np.testing.assert_array_equal(history, [[[80, 80]] * 3, [[50, 3], [50, 4], [50, 5]]])


def test_long_tails_leave_the_image_in_sight() -> None:
    tails = TrackTails(length=3)
    for x in (0.0, 100.0, 200.0, 280.0):
        tails.update(tracks({1: (x, 60.0)}))
    picture = draw_tracks(np.full((200, 300), 90, np.uint8), tracks({1: (280.0, 60.0)}), tails)
    (columns,) = np.nonzero(np.ptp(picture[60].astype(int), axis=1))
    assert columns.min() == pytest.approx(280 - REACH * 300, abs=2)


@pytest.mark.parametrize("scale", [1, 2])
def test_points_are_drawn_where_they_are(scale: int) -> None:
    image = np.full((200, 300), 128, np.uint8)
    picture = draw_tracks(image, tracks({1: (100.0, 60.0)}), scale=scale)
    assert picture.shape == (200 * scale, 300 * scale, 3)
    y, x = np.nonzero(coloured(picture[: 120 * scale]))
    # The centre of pixel 100 of the image lies at 100 * scale + (scale - 1) / 2 of the picture.
    assert x.mean() == pytest.approx(100 * scale + (scale - 1) / 2, abs=0.3)
    assert y.mean() == pytest.approx(60 * scale + (scale - 1) / 2, abs=0.3)
    assert (image == 128).all()


def test_tail_is_drawn_and_fades() -> None:
    tails = TrackTails(length=10)
    for frame in range(11):
        now = tracks({1: (250.0 + 10 * frame, 60.0)}, age=frame + 1)
        tails.update(now)
    image = np.full((200, 1000, 3), 90, np.uint8)
    saturation = np.ptp(draw_tracks(image, now, tails)[60].astype(int), axis=1)
    assert saturation[340] > saturation[310] > saturation[285] > saturation[260] > 10
    assert saturation[230] == 0
    without = np.ptp(draw_tracks(image, now)[60].astype(int), axis=1)
    assert without[255:340].max() == 0


def test_colour_means_age() -> None:
    colours = colour_of(np.array([1, 5, 15, 30, OLD, 10 * OLD]))
    assert len(np.unique(colours[:5].round(), axis=0)) == 5
    np.testing.assert_array_equal(colours[4], colours[5])
    # Blue when new, red rather than blue when old.
    assert colours[0, 0] > colours[0, 2]
    assert colours[4, 2] > colours[4, 0]


def test_nothing_to_draw_and_no_room_for_a_legend() -> None:
    assert draw_tracks(np.zeros((480, 640), np.uint8), tracks({}), TrackTails()).shape == (480, 640, 3)
    tails, one = TrackTails(), tracks({1: (3.0, 3.0)})
    tails.update(one)
    assert draw_tracks(np.zeros((8, 8), np.uint8), one, tails, title="x").shape == (8, 8, 3)


def test_points_outside_the_image_do_no_harm() -> None:
    picture = draw_tracks(np.zeros((100, 100), np.uint8), tracks({1: (-500.0, 20.0), 2: (1e4, 1e4)}))
    assert not coloured(picture[:60]).any()
