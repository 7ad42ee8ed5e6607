"""From the sources that a configuration names to the sequences that a method trains on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import kp_ros.simulation
from training.data import flat_scenes as flat_scenes_module
from training.data import rendered_worlds as rendered_worlds_module
from training.data.flat_scenes import FlatSettings, flat_scenes
from training.data.readers.opening import open_sequences
from training.data.remembering import Memory, remembered
from training.data.rendered_worlds import RenderedSettings, RenderedWorlds
from training.data.sequence import DatasetError, Sequence
from training.data.storing import stored
from training.evaluation.cache import digest, source_digest
from training.kept import Kind, kept_folder


@dataclass(frozen=True)
class DataSettings:
    """Where frames come from.

    :ivar sequences: folders of sequences in any layout that training reads (``python -m training dataset`` makes one
        of a bag), or of photographs for methods that need images alone.
    :ivar split: the first share of each sequence trains; the rest is left for evaluation. What is made from
        photographs and rendered worlds trains whole.
    :ivar rest: take that rest instead: to measure a method by what it did not train on.
    :ivar worlds: how many rendered worlds.
    :ivar world: what the worlds have in common.
    :ivar photographs: folders of photographs, each of which becomes a flat scene with depth and poses.
    :ivar flat: what the flat scenes have in common.
    :ivar seed: of worlds and scenes; evaluate on another one.
    :ivar memory: megabytes of frames that each loader process keeps.
    :ivar store: folder where worlds are kept once they are rendered; None takes ``~/.cache/kp_ros/training``.
    """

    sequences: list[Path] = field(default_factory=list)
    split: float = 0.8
    rest: bool = False
    worlds: int = 0
    world: RenderedSettings = field(default_factory=RenderedSettings)
    photographs: list[Path] = field(default_factory=list)
    flat: FlatSettings = field(default_factory=FlatSettings)
    seed: int = 0
    memory: float = 2000.0
    store: Path | None = None


def held_out(settings: DataSettings) -> DataSettings:
    """What a run of these settings did not train on: the rest of its sequences, and as many worlds of another seed."""
    return replace(settings, rest=True, photographs=[], seed=settings.seed + 1000)


def open_training_data(settings: DataSettings) -> list[Sequence]:
    """All sequences of a configuration, split; frames without pose are left out of sequences with poses.

    :raises DatasetError: a source cannot be read, or there is none.
    """
    found = _recorded(settings) + _rendered(settings) + _flat(settings)
    if not found:
        raise DatasetError("there is nothing to train on; set data.sequences='[my_dataset]' or data.worlds=8")
    return found


def _recorded(settings: DataSettings) -> list[Sequence]:
    memory = Memory(settings.memory)
    opened = [sequence for path in settings.sequences for sequence in open_sequences(path)]
    part = 1 if settings.rest else 0
    parts = [sequence.split(settings.split)[part] if sequence.ordered else sequence for sequence in opened]
    return [remembered(sequence.with_poses(), memory) for sequence in parts]


def _rendered(settings: DataSettings) -> list[Sequence]:
    worlds = RenderedWorlds(settings.worlds, settings.seed, settings.world)
    code = source_digest(*Path(kp_ros.simulation.__path__[0]).glob("*.py"), Path(rendered_worlds_module.__file__))
    keys = [digest(code, settings.world, settings.seed, number) for number in range(len(worlds))]
    return [stored(worlds[number], _store(settings) / key) for number, key in enumerate(keys)]


def _flat(settings: DataSettings) -> list[Sequence]:
    if not settings.photographs:
        return []
    code = source_digest(Path(flat_scenes_module.__file__))
    scenes = flat_scenes(settings.photographs, settings.flat, settings.seed)
    root = [folder.resolve() for folder in settings.photographs]
    return [
        stored(scene, _store(settings) / digest(code, root, settings.flat, settings.seed, scene.name), depth=False)
        for scene in scenes
    ]


def _store(settings: DataSettings) -> Path:
    return kept_folder(Kind.RENDERED) if settings.store is None else settings.store
