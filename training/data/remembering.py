"""Frames kept in memory after they were loaded: for data that are slow to load (rendered worlds) and fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from training.data.sequence import Sequence


@dataclass(eq=False)
class Memory:
    """The last loaded arrays, as many as fit; the one used longest ago goes first.

    Every process of a loader has a memory of its own.

    :ivar megabytes: that it may hold.
    """

    megabytes: float
    _held: OrderedDict[tuple[str, str, int], NDArray[Any]] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def take(self, key: tuple[str, str, int], load: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
        """What is held under a key, or else what ``load`` gives for the key's last part. It must not be changed."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        loaded = load(key[-1])
        loaded.flags.writeable = False
        self._held[key] = loaded
        self._bytes += loaded.nbytes
        while self._bytes > 1e6 * self.megabytes and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= oldest.nbytes
        return loaded


@dataclass(frozen=True, eq=False)
class _Remembering:
    memory: Memory
    sequence: str
    kind: str
    load: Callable[[int], NDArray[Any]]

    def __call__(self, index: int) -> NDArray[Any]:
        return self.memory.take((self.sequence, self.kind, index), self.load)


def remembered(sequence: Sequence, memory: Memory) -> Sequence:
    """The same sequence, whose images and depth stay in a memory that it may share with others of another name."""
    return replace(
        sequence,
        load_image=_Remembering(memory, sequence.name, "image", sequence.load_image),
        load_depth=None
        if sequence.load_depth is None
        else _Remembering(memory, sequence.name, "depth", sequence.load_depth),
    )
