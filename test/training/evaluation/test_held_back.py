from pathlib import Path

import numpy as np
import pytest
from sliding_wall import write_homography_set

from training.data.guard import fingerprints_of
from training.data.sequence import DatasetError, Sequence
from training.evaluation.held_back import held_back, held_back_pairs, seen_frames, seen_pair
from training.evaluation.protocols.homography_sets import read_homography_set


def mask(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text])


@pytest.mark.parametrize(
    ("trained", "kept"),
    [("xxxxxx......", (6, 12)), (".....xxx....", (0, 5)), ("xx......x..x", (2, 8)), ("......xxxxxx", (0, 6))],
)
def test_the_longest_stretch_that_trained_nothing_is_left(
    wall_sequence: Sequence, trained: str, kept: tuple[int, int]
) -> None:
    rest, note = held_back(wall_sequence, mask(trained), "kp_mine")
    assert rest is not None and note is not None
    assert rest.frame_names == wall_sequence.frame_names[slice(*kept)]
    assert f"{trained.count('x')} of the 12 frames of wall trained kp_mine" in note
    assert f"frames {kept[0]} to {kept[1] - 1}" in note


def test_a_sequence_that_trained_nothing_is_left_whole_and_one_that_trained_all_is_left_out(
    wall_sequence: Sequence,
) -> None:
    assert held_back(wall_sequence, mask("." * 12), "") == (wall_sequence, None)
    for trained in ("x" * 12, "....xxxx...."):
        rest, note = held_back(wall_sequence, mask(trained), "kp_mine")
        assert rest is None and note is not None and "left out" in note


def test_training_frames_are_told_by_what_they_show(wall_sequence: Sequence) -> None:
    trained = fingerprints_of([wall_sequence.subset(range(3))])
    images = [wall_sequence.grey(index) for index in range(len(wall_sequence))]
    blank = np.full((240, 320), 90, np.uint8)
    assert seen_frames([*images, blank], trained).tolist() == [True] * 3 + [False] * 10


def test_pairs_of_which_an_image_trained_the_model_are_left_out(tmp_path: Path, wall_sequence: Sequence) -> None:
    pairs = read_homography_set(write_homography_set(tmp_path / "set"))
    assert not any(seen_pair(pair, fingerprints_of([wall_sequence])) for pair in pairs.pairs)
    rest, note = held_back_pairs(pairs, mask("x..x"), "kp_mine")
    assert rest is not None and [pair.name for pair in rest.pairs] == ["i_lamp 1-3", "v_desk 1-2"]
    assert note == "2 of the 4 pairs of set trained kp_mine: left out"
    assert held_back_pairs(pairs, mask("xxxx"), "kp_mine")[0] is None
    pairs.pairs[0].first.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"1\.ppm cannot be read"):
        seen_pair(pairs.pairs[0], fingerprints_of([wall_sequence]))
