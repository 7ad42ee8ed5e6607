from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.guard import (
    TOLERANCE,
    TrainedOnError,
    accompany,
    fingerprint,
    fingerprints_of,
    load_fingerprints,
    model_fingerprints,
    record_training_frames,
    refuse_training_frames,
    sidecar_of,
)
from training.data.readers.shared_layout import read_shared_layout
from training.data.remembering import Memory, remembered
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sequence import DatasetError, Sequence


@pytest.fixture(scope="module")
def rooms() -> list[Sequence]:
    memory = Memory(100)
    settings = RenderedSettings(160, 120, 5, 4.0, rooms=1.0)
    return [remembered(world, memory) for world in RenderedWorlds(2, seed=9, settings=settings)]


@dataclass(frozen=True)
class Recompressed:
    """The frames of a sequence, smaller, in grey and as poor JPEGs."""

    sequence: Sequence

    def __call__(self, index: int) -> np.ndarray:
        small = cv2.resize(self.sequence.grey(index), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        return cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)


def copy_of(sequence: Sequence) -> Sequence:
    names = tuple(f"renamed_{index}" for index in range(len(sequence)))
    return Sequence("copy", names, sequence.stamps_ns, Recompressed(sequence))


def test_training_frames_are_refused_whatever_became_of_them(rooms: list[Sequence]) -> None:
    trained = fingerprints_of([rooms[0]])
    assert len(trained) == len(rooms[0])
    for sequence in (rooms[0], copy_of(rooms[0])):
        with pytest.raises(TrainedOnError, match=f"5 of 5 frames of {sequence.name} trained kp_base"):
            refuse_training_frames("kp_base", trained, [rooms[1], sequence])
    refuse_training_frames("kp_base", trained, [rooms[1]])


@pytest.mark.parametrize("name", ["hololens", "icl_kt3", "tum_fr1_rpy", "redkitchen"])
def test_the_last_fifth_may_judge_what_the_rest_trained(shared_data: Path, name: str) -> None:
    train, test = read_shared_layout(shared_data / name).split()
    trained = fingerprints_of([train])
    refuse_training_frames("kp_base", trained, [test])
    with pytest.raises(TrainedOnError):
        refuse_training_frames("kp_base", trained, [copy_of(train.subset(range(0, len(train), 10)))])


def test_one_frame_is_enough(rooms: list[Sequence]) -> None:
    trained = fingerprints_of([rooms[0].subset([2])])
    with pytest.raises(TrainedOnError, match=r"1 of 5 frames of .* \(0002\)"):
        refuse_training_frames("kp_base", trained, [rooms[0]])


def test_empty_pictures_have_no_fingerprint() -> None:
    assert fingerprint(np.full((40, 40, 3), 7, np.uint8)) is None
    black = Sequence("black", ("0",), np.zeros(1, np.int64), lambda _: np.zeros((40, 40, 3), np.uint8))
    trained = fingerprints_of([black])
    assert len(trained) == 0
    refuse_training_frames("kp_base", trained, [black])


def test_fingerprints_travel_with_the_model(rooms: list[Sequence], tmp_path: Path) -> None:
    model = tmp_path / "mine.onnx"
    assert model_fingerprints(model, {}) is None
    assert accompany(model, tmp_path) == {}, "a run that recorded nothing"
    first = fingerprints_of([rooms[0]])
    record_training_frames(tmp_path, [rooms[0]])
    record_training_frames(tmp_path, [rooms[1]])
    metadata = accompany(model, tmp_path)
    again = model_fingerprints(model, metadata)
    assert again is not None
    np.testing.assert_array_equal(again.values, first.values)
    both = first.joined(fingerprints_of(rooms))
    assert len(both) == 10, "what is in both counts once"
    both.save(sidecar_of(model))
    with pytest.raises(DatasetError, match="belongs to another model"):
        model_fingerprints(model, metadata)
    sidecar_of(model).unlink()
    with pytest.raises(DatasetError, match="not beside it"):
        model_fingerprints(model, metadata)
    sidecar_of(model).write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="holds no fingerprints"):
        load_fingerprints(sidecar_of(model))


def test_the_nearest_is_counted_in_bits(rooms: list[Sequence]) -> None:
    trained = fingerprints_of([rooms[0]])
    other = trained.values[3:4].copy()
    other[0, :2] ^= 0xFF
    assert trained.nearest(other).tolist() == [16]
    assert trained.nearest(fingerprints_of([rooms[1]]).values).min() > TOLERANCE
