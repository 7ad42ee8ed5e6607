"""From the sources that a configuration names to the sequences that a method trains on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.data.readers.opening import open_sequences
from training.data.remembering import Memory, remembered
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sequence import DatasetError, Sequence


@dataclass(frozen=True)
class DataSettings:
    """Where frames come from.

    :ivar sequences: folders of sequences in any layout that training reads, or folders of photographs.
    :ivar split: the first share of each sequence trains; the rest is left for evaluation. Photographs and rendered
        worlds train whole.
    :ivar worlds: how many rendered worlds.
    :ivar world_seed: of the worlds; evaluate on another one.
    :ivar world: what the worlds have in common.
    :ivar memory: megabytes of frames that each loader process keeps.
    """

    sequences: list[Path] = field(default_factory=list)
    split: float = 0.8
    worlds: int = 0
    world_seed: int = 0
    world: RenderedSettings = field(default_factory=RenderedSettings)
    memory: float = 2000.0


def open_training_data(settings: DataSettings) -> list[Sequence]:
    """All sequences of a configuration, split.

    :raises DatasetError: a source cannot be read, or there is none.
    """
    opened = [sequence for path in settings.sequences for sequence in open_sequences(path)]
    found = [sequence.split(settings.split)[0] if sequence.ordered else sequence for sequence in opened]
    worlds = RenderedWorlds(settings.worlds, settings.world_seed, settings.world)
    found += [worlds[number] for number in range(len(worlds))]
    if not found:
        raise DatasetError("there is nothing to train on; set data.sequences='[my_dataset]' or data.worlds=8")
    memory = Memory(settings.memory)
    return [remembered(sequence.with_poses(), memory) for sequence in found]
