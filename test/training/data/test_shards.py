from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.augmentation import AugmentationSettings
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sampling import OverlapSequences
from training.data.sequence import DatasetError
from training.data.shards import ShardBatches, read_index, read_shard, write_shards
from training.frame_batch import FrameBatch
from training.processes import ProcessShare, make_loader

SETTINGS = AugmentationSettings(64, 48)


@pytest.fixture(scope="module")
def sampler() -> OverlapSequences:
    worlds = RenderedWorlds(1, seed=3, settings=RenderedSettings(96, 72, 6, 4.0, rooms=1.0))
    return OverlapSequences(list(worlds), 2, ((0.2, 0.98),))


@pytest.fixture(scope="module")
def folder(sampler: OverlapSequences, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(sampler, "depth", 11, folder, seed=0, items_per_shard=3)
    return folder


def test_items_come_back_as_they_were(sampler: OverlapSequences, folder: Path) -> None:
    index = read_index(folder)
    assert list(index.shards.values()) == [3, 3, 3, 2]
    items = [item for name in index.shards for item in read_shard(str(folder / name))]
    assert len(items) == 11
    choice = sampler(np.random.default_rng([0, 7]), 7 / 11)
    for frame, (number, place) in zip(items[7].frames, choice.frames, strict=True):
        truth = sampler.sequences[number].frame(place)
        assert frame.name == truth.name
        assert frame.pose is not None
        assert truth.pose is not None
        np.testing.assert_array_equal(frame.pose, truth.pose)
        assert frame.camera is not None
        assert truth.camera is not None
        np.testing.assert_array_equal(frame.camera.matrix, truth.camera.matrix)
        assert frame.depth is not None
        assert truth.depth is not None
        np.testing.assert_allclose(frame.depth, truth.depth, atol=0.0006)
        assert np.abs(frame.image.astype(int) - truth.image).mean() < 6, "JPEG"


def batches(folder: Path, lanes: int = 2) -> ShardBatches:
    return ShardBatches(folder, SETTINGS, batch_size=2, steps=14, seed=4, lanes=lanes)


def assert_equal(one: FrameBatch, other: FrameBatch) -> None:
    assert torch.equal(one.images, other.images)
    assert one.depth is not None
    assert other.depth is not None
    assert torch.equal(one.depth, other.depth)


def test_a_step_gives_its_batch_after_a_resumption_and_in_another_process(folder: Path) -> None:
    unbroken = batches(folder)
    whole = [unbroken[step] for step in range(14)]
    for step in (9, 10, 11, 2):
        assert_equal(batches(folder)[step], whole[step])
    loader = make_loader(ProcessShare(batches(folder), 0, 14, 1), 2, False)
    for step, batch in enumerate(loader):
        assert_equal(batch, whole[step])
    assert step == 13


def test_an_epoch_reads_everything_once_and_the_next_in_another_order(folder: Path) -> None:
    stream = ShardBatches(folder, SETTINGS, batch_size=1, steps=100, seed=4)._lanes[0]
    first, second = ([item.frames[0].name + item.frames[1].name for item in stream.take(at, 11)] for at in (0, 11))
    assert sorted(first) == sorted(second)
    assert first != second


def test_lanes_read_shards_of_their_own(folder: Path) -> None:
    lanes = batches(folder)._lanes
    names = [{Path(address).name for address, _ in lane._shards} for lane in lanes]
    assert names == [{"000000.tar", "000002.tar"}, {"000001.tar", "000003.tar"}]


def test_shards_may_be_elsewhere_than_their_index(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text((folder / "index.json").read_text())
    remote = ShardBatches(tmp_path, SETTINGS, batch_size=2, steps=14, seed=4, lanes=2, root=f"file:{folder}")
    assert_equal(remote[3], batches(folder)[3])


def test_what_cannot_be_done_is_said(folder: Path, sampler: OverlapSequences, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds shards already"):
        write_shards(sampler, "depth", 1, folder, 0)
    with pytest.raises(DatasetError, match="4 shards for 5 lanes"):
        batches(folder, lanes=5)
    with pytest.raises(DatasetError, match=r"index\.json cannot be used"):
        read_index(tmp_path)
