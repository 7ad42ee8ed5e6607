"""Batches of frames by step number: the same step gives the same batch, whoever loads it and whenever."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.data.augmentation import AugmentationSettings, augment
from training.data.sampling import Choice, FrameSampler
from training.data.sequence import DatasetError, Sequence, SequenceFrame
from training.data.views import View, view_of
from training.frame_batch import FrameBatch

#: What a method must know of its frames: images alone; calibration and poses; depth besides.
Knowledge = Literal["images", "poses", "depth"]


@dataclass(frozen=True, eq=False)
class Item:
    """One training item, loaded.

    :ivar frames: the reference first.
    :ivar label: +1 same scene, -1 another.
    """

    frames: tuple[SequenceFrame, ...]
    label: int


def check_knowledge(sequences: Many[Sequence], knowledge: Knowledge) -> None:
    """Refuse data that lack what a method needs.

    :raises DatasetError: a sequence lacks it.
    """
    for sequence in sequences:
        lacking = [
            name
            for name, has in (
                ("calibration", sequence.cameras is not None or knowledge == "images"),
                ("poses", sequence.poses is not None or knowledge == "images"),
                ("depth", sequence.has_depth or knowledge != "depth"),
            )
            if not has
        ]
        if lacking:
            raise DatasetError(
                f"{sequence.name} has no {' and no '.join(lacking)}, which this training needs; leave it out, or train "
                "a method that needs images alone"
            )


def have_distortion(sequences: Many[Sequence]) -> bool:
    """Whether any camera's lens bends what a batch would show; a fisheye's image is straightened on its way there."""
    return any(
        camera.model != "equidistant" and bool(camera.distortion.any())
        for sequence in sequences
        for camera in sequence.cameras or ()
    )


def load_item(sequences: Many[Sequence], choice: Choice, knowledge: Knowledge) -> Item:
    """Load the frames of a choice, and no more of them than is needed."""
    frames = []
    for number, index in choice.frames:
        sequence = sequences[number]
        image, mask = sequence.image(index), sequence.mask(index)
        frames.append(
            SequenceFrame(
                sequence.frame_names[index],
                int(sequence.stamps_ns[index]),
                image,
                None if knowledge == "images" else sequence.camera(index),
                None if knowledge == "images" else sequence.pose(index),
                sequence.depth(index) if knowledge == "depth" else None,
                np.ones(image.shape[:2], np.bool_) if mask is None else mask,
            )
        )
    return Item(tuple(frames), choice.label)


def make_batch(
    items: list[Item],
    settings: AugmentationSettings,
    knowledge: Knowledge,
    distorted: bool,
    rng: np.random.Generator,
) -> FrameBatch:
    """Augment the frames of some items and put them together.

    The world of every item is moved to its reference camera: poses far from their origin (a map's) would lose their
    millimetres in float32.

    :param distorted: some frame of the data set, not only of these items, has lens distortion.
    :raises DatasetError: a frame has no pose.
    """
    views = [[augment(view_of(frame), settings, rng) for frame in item.frames] for item in items]
    flat = [view for group in views for view in group]
    shape = (len(items), len(items[0].frames))
    label = torch.tensor([item.label for item in items], dtype=torch.int64)
    images = _stack([view.image for view in flat], shape, np.float32)
    images = images.permute(0, 1, 4, 2, 3).contiguous() if settings.colour else images.unsqueeze(2)
    valid = _stack([view.valid for view in flat], shape, np.bool_)
    if knowledge == "images":
        return FrameBatch(images, valid, label)
    poses = [pose for group in views for pose in _from_reference(group)]
    return FrameBatch(
        images,
        valid,
        label,
        intrinsics=_stack([_known(view.intrinsics) for view in flat], shape, np.float32),
        pose=_stack(poses, shape, np.float32),
        depth=_stack([_known(view.depth) for view in flat], shape, np.float32) if knowledge == "depth" else None,
        distortion=_stack([_known(view.distortion) for view in flat], shape, np.float32) if distorted else None,
    )


def _stack(values: list[NDArray[np.generic]], shape: tuple[int, int], dtype: type) -> Tensor:
    stacked: NDArray[np.generic] = np.stack(values).astype(dtype, copy=False)
    return torch.from_numpy(stacked.reshape(*shape, *stacked.shape[1:]))


def _known(value: NDArray[np.generic] | None) -> NDArray[np.generic]:
    if value is None:
        raise DatasetError("a frame lacks calibration or depth; check_knowledge() tells which sequence")
    return value


def _from_reference(views: list[View]) -> list[NDArray[np.generic]]:
    """Camera from world of each view, the world being the first view's camera."""
    poses = [view.from_world for view in views]
    known = [pose for pose in poses if pose is not None]
    if len(known) < len(poses):
        raise DatasetError("a frame has no pose; leave frames without pose out (Sequence.with_poses)")
    return [np.asarray(pose @ np.linalg.inv(known[0])) for pose in known]


class FrameBatches(Dataset[FrameBatch]):
    """A dataset whose n-th item is the batch of step n, as the trainer has it.

    :param sampler: chooses the frames.
    :param settings: size and changes.
    :param knowledge: what the method needs.
    :param batch_size: items a batch.
    :param steps: batches of the whole training; the curriculum goes by them. Processes that train together share them
        out (:class:`training.processes.ProcessShare`).
    :param seed: of all random choices.
    :raises DatasetError: a sequence lacks what is needed.
    """

    def __init__(
        self,
        sampler: FrameSampler,
        settings: AugmentationSettings,
        knowledge: Knowledge,
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        check_knowledge(sampler.sequences, knowledge)
        self.sampler = sampler
        self.settings = settings
        self.knowledge: Knowledge = knowledge
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.distorted = have_distortion(sampler.sequences)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> FrameBatch:
        rng = np.random.default_rng([self.seed, step])
        choices = [self.sampler(rng, step / self.steps) for _ in range(self.batch_size)]
        items = [load_item(self.sampler.sequences, choice, self.knowledge) for choice in choices]
        return make_batch(items, self.settings, self.knowledge, self.distorted, rng)
