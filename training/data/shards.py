"""Data sets larger than a disk: training items in WebDataset shards, written once, read as a stream from wherever.

A shard is a tar file of items; an item is a group of members of one number:

    000017.0.jpg 000017.1.jpg ...          the frames, the reference first
    000017.0.depth.png ...                 16 bit; 65535 is the sky
    000017.json                            label; of each frame: name, stamp, size, K, distortion, pose, depth scale

``index.json`` beside the shards says how many items each holds, so that a resumed run finds its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from kp_ros.camera import Camera
from kp_ros.recordings.output import explained
from training.data.augmentation import AugmentationSettings
from training.data.frame_batches import Item, Knowledge, check_knowledge, have_distortion, load_item, make_batch
from training.data.sampling import FrameSampler
from training.data.sequence import DatasetError, Depth, SequenceFrame
from training.frame_batch import FrameBatch

INDEX = "index.json"
JPEG_QUALITY = 95
#: Depth image values: metres = value x scale, and the sky.
LARGEST = 65534
SKY = 65535
MILLIMETRE = 0.001


@dataclass(frozen=True)
class ShardIndex:
    """What there is in a folder of shards.

    :ivar shards: file name or address -> items, in their order.
    :ivar knowledge: what is known of the frames.
    :ivar distorted: some lens has distortion.
    """

    shards: dict[str, int]
    knowledge: Knowledge
    distorted: bool


def write_shards(
    sampler: FrameSampler, knowledge: Knowledge, items: int, folder: Path, seed: int, items_per_shard: int = 500
) -> ShardIndex:
    """Draw items and write them; each is drawn as at its share of the training, so a curriculum stays in its order.

    :raises DatasetError: the folder holds shards already, or the data lack what is needed.
    :raises OutputError: the disk is full.
    """
    check_knowledge(sampler.sequences, knowledge)
    if (folder / INDEX).exists():
        raise DatasetError(f"{folder} holds shards already; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    shards: dict[str, int] = {}
    with explained(folder), tqdm(total=items, desc="shards", unit="item", disable=None) as bar:
        for start in range(0, items, items_per_shard):
            name = f"{len(shards):06}.tar"
            count = min(items_per_shard, items - start)
            with webdataset.TarWriter(str(folder / name), mtime=0) as tar:
                for number in range(start, start + count):
                    rng = np.random.default_rng([seed, number])
                    choice = sampler(rng, number / items)
                    tar.write(_encoded(number, load_item(sampler.sequences, choice, knowledge)))
                    bar.update()
            shards[name] = count
        index = ShardIndex(shards, knowledge, knowledge != "images" and have_distortion(sampler.sequences))
        (folder / INDEX).write_text(json.dumps(index.__dict__, indent=2))
    return index


def read_index(folder: Path) -> ShardIndex:
    """Read a folder's index.

    :raises DatasetError: there is none.
    """
    try:
        return ShardIndex(**json.loads((folder / INDEX).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(
            f"{folder / INDEX} cannot be used ({error}); name a folder that write_shards made"
        ) from error


def _encoded(number: int, item: Item) -> dict[str, Any]:
    members: dict[str, Any] = {"__key__": f"{number:09}"}
    frames = []
    for place, frame in enumerate(item.frames):
        _, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        members[f"{place}.jpg"] = jpeg.tobytes()
        described: dict[str, Any] = {"name": frame.name, "stamp_ns": frame.stamp_ns}
        if frame.camera is not None:
            camera = frame.camera
            described |= {
                "size": [camera.width, camera.height],
                "matrix": camera.matrix.tolist(),
                "distortion": camera.distortion.tolist(),
                "model": camera.model,
            }
        if frame.pose is not None:
            described["pose"] = frame.pose.tolist()
        if frame.depth is not None:
            members[f"{place}.depth.png"], described["depth_scale"] = _encoded_depth(frame.depth)
        if not frame.mask.all():
            members[f"{place}.mask.png"] = cv2.imencode(".png", frame.mask.astype(np.uint8))[1].tobytes()
        frames.append(described)
    members["json"] = {"label": item.label, "frames": frames}
    return members


def _encoded_depth(depth: Depth) -> tuple[bytes, float]:
    finite = np.isfinite(depth)
    farthest = float(depth[finite].max(initial=0))
    # Millimetres where they reach; a scene of another scale (MegaDepth) has steps of its own.
    scale = MILLIMETRE if 1 < farthest <= LARGEST * MILLIMETRE else max(farthest, 1e-9) / LARGEST
    values = np.full(depth.shape, SKY, np.uint16)
    values[finite] = np.rint(depth[finite] / scale).astype(np.uint16)
    return cv2.imencode(".png", values)[1].tobytes(), scale


def _decoded(members: dict[str, Any]) -> Item:
    described = json.loads(members["json"])
    frames = []
    for place, frame in enumerate(described["frames"]):
        image = np.asarray(_image(members[f"{place}.jpg"], cv2.IMREAD_COLOR), np.uint8)
        mask = np.ones(image.shape[:2], np.bool_)
        if f"{place}.mask.png" in members:
            mask = np.asarray(_image(members[f"{place}.mask.png"], cv2.IMREAD_UNCHANGED) > 0, np.bool_)
        depth = None
        if f"{place}.depth.png" in members:
            values = _image(members[f"{place}.depth.png"], cv2.IMREAD_UNCHANGED)
            depth = values.astype(np.float32) * np.float32(frame["depth_scale"])
            depth[values == SKY] = np.inf
        frames.append(
            SequenceFrame(
                frame["name"],
                frame["stamp_ns"],
                image,
                _camera(frame),
                np.array(frame["pose"]) if "pose" in frame else None,
                depth,
                mask,
            )
        )
    return Item(tuple(frames), described["label"])


def _image(data: bytes, flags: int) -> NDArray[Any]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise DatasetError("a shard holds an image that cannot be read; write the shards again")
    return np.asarray(image)


def _camera(frame: dict[str, Any]) -> Camera | None:
    if "matrix" not in frame:
        return None
    width, height = frame["size"]
    return Camera(width, height, np.array(frame["matrix"]), np.array(frame["distortion"], np.float64), frame["model"])


def read_shard(address: str) -> Iterator[Item]:
    """The items of one shard, in their order.

    :param address: a file, or whatever WebDataset opens (``https:``, ``pipe:``).
    """
    # As parts, not as wds.WebDataset: that would share the shard out among the loader's processes.
    for members in webdataset.DataPipeline(webdataset.SimpleShardList([address]), webdataset.tarfile_to_samples()):
        yield _decoded(members)


class _Lane:
    """A never-ending stream of items through some shards, which knows its place."""

    def __init__(self, shards: list[tuple[str, int]], seed: list[int]) -> None:
        self._shards = shards
        self._seed = seed
        self._epoch_items = sum(count for _, count in shards)
        self._position = -1
        self._stream: Iterator[Item] = iter(())

    def take(self, start: int, count: int) -> list[Item]:
        """Items ``start`` to ``start + count`` of the stream; quick when they follow those taken last."""
        if start != self._position:
            self._stream = self._from(start)
        self._position = start + count
        return [next(self._stream) for _ in range(count)]

    def _from(self, start: int) -> Iterator[Item]:
        epoch, skip = divmod(start, self._epoch_items)
        while True:
            for number in np.random.default_rng([*self._seed, epoch]).permutation(len(self._shards)):
                address, count = self._shards[int(number)]
                if skip >= count:
                    skip -= count
                    continue
                for place, item in enumerate(read_shard(address)):
                    if place >= skip:
                        yield item
                skip = 0
            epoch += 1


class ShardBatches(Dataset[FrameBatch]):
    """A dataset over shards whose n-th item is the batch of step n.

    The shards are dealt out to lanes, and step n reads on in lane n modulo their number. With as many lanes as there
    are loader processes (of all processes that train together), each reads shards that no other reads; with any other
    number of processes the batches are the same. Every epoch has an order of shards of its own; items of a shard stay
    in theirs, since they were drawn at random.

    :param folder: that :func:`write_shards` made.
    :param settings: size and changes.
    :param batch_size: items a batch.
    :param steps: batches of the whole training.
    :param seed: of the order and of the changes.
    :param lanes: no more than there are shards; part of what decides the batches, so that a resumed run needs the same.
    :param root: what the shards' names are put behind, when only the index is in ``folder``: another folder, or an
        address that WebDataset opens (``https://server/shards``).
    """

    def __init__(
        self,
        folder: Path,
        settings: AugmentationSettings,
        batch_size: int,
        steps: int,
        seed: int,
        lanes: int = 1,
        root: str | None = None,
    ) -> None:
        index = read_index(folder)
        base = str(folder) if root is None else root.rstrip("/")
        shards = [(f"{base}/{name}", count) for name, count in index.shards.items()]
        if len(shards) < lanes:
            raise DatasetError(
                f"{folder} has {len(shards)} shards for {lanes} lanes; write smaller shards (items_per_shard), or use "
                "fewer lanes"
            )
        self.knowledge: Knowledge = index.knowledge
        self.distorted = index.distorted
        self.settings = settings
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self._lanes = [_Lane(shards[lane::lanes], [seed, lane]) for lane in range(lanes)]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> FrameBatch:
        turn, lane = divmod(step, len(self._lanes))
        items = self._lanes[lane].take(turn * self.batch_size, self.batch_size)
        rng = np.random.default_rng([self.seed, step])
        return make_batch(items, self.settings, self.knowledge, self.distorted, rng)
