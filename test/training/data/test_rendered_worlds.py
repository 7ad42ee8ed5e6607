from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from training.data.rendered_worlds import RenderedSettings, RenderedWorlds

SMALL = RenderedSettings(width=160, height=120, frames=6, rate=5.0)


def test_as_many_as_asked_each_another_and_each_the_same_again() -> None:
    worlds = RenderedWorlds(4, seed=1, settings=SMALL)
    names = [worlds[number].name for number in range(len(worlds))]
    assert [name.split("_")[0] for name in names] == ["street", "room", "street", "room"]
    assert len(set(names)) == 4
    with pytest.raises(IndexError):
        worlds[4]
    first, third = worlds[1], worlds[3]
    assert first.cameras is not None
    assert third.cameras is not None
    assert first.cameras[0].matrix[0, 0] != third.cameras[0].matrix[0, 0]
    image = first.image(2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(worlds))[1].image(2), image)
    assert np.abs(RenderedWorlds(4, seed=2, settings=SMALL)[1].image(2).astype(int) - image).mean() > 5


def test_depth_and_pose_are_exact() -> None:
    sequence = RenderedWorlds(1, settings=RenderedSettings(160, 120, 6, 5.0, rooms=1.0))[0]
    first, second = sequence.frame(1), sequence.frame(2)
    assert first.camera is not None
    assert first.pose is not None
    assert second.pose is not None
    assert first.depth is not None
    y, x = np.indices(first.depth.shape).astype(np.float64)
    inverse = np.linalg.inv(first.camera.matrix)
    points = inverse @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)]) * first.depth.ravel()
    moved = np.linalg.inv(second.pose) @ first.pose @ np.vstack([points, np.ones(x.size)])
    seen = first.camera.matrix @ moved[:3]
    u, v = (seen[:2] / seen[2]).reshape(2, *x.shape).astype(np.float32)
    again = cv2.remap(second.image, u, v, cv2.INTER_LINEAR)
    inside = (u > 1) & (u < 158) & (v > 1) & (v < 118)
    assert inside.mean() > 0.5
    # What is hidden in one of the two differs; most is not.
    difference = np.abs(again.astype(float) - first.image)[inside].max(1)
    assert np.median(difference) < 25
    assert np.median(np.abs(second.image.astype(float) - first.image)[inside].max(1)) > np.median(difference)
