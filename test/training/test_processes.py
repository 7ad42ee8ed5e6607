from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from training.processes import ProcessShare, make_loader, move


class Numbers(torch.utils.data.Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_a_step_has_the_same_batches_however_many_processes_share_it(world_size: int) -> None:
    shares = [ProcessShare(Numbers(), 5, 8, 4, rank, world_size) for rank in range(world_size)]
    taken = [[share[k] for k in range(len(share))] for share in shares]
    per_step = 4 // world_size
    for step in range(3):
        used = sorted(n for numbers in taken for n in numbers[step * per_step : (step + 1) * per_step])
        assert used == list(range((5 + step) * 4, (6 + step) * 4))


def test_processes_that_cannot_share_evenly_are_told() -> None:
    with pytest.raises(ValueError, match="accumulate is 3"):
        ProcessShare(Numbers(), 0, 8, 3, 0, 2)


@pytest.mark.parametrize("processes", [0, 1])
def test_the_loader_keeps_the_order(processes: int) -> None:
    share = ProcessShare(Numbers(), 2, 6, 2)
    before = torch.get_rng_state()
    assert list(make_loader(share, processes, False)) == list(range(4, 12))
    assert torch.equal(torch.get_rng_state(), before)


@dataclass(frozen=True)
class Pair:
    first: Tensor
    names: list[str]


def test_batches_of_any_build_are_moved() -> None:
    meta = torch.device("meta")
    moved = move({"pair": Pair(torch.ones(2), ["a"]), "rest": [torch.ones(1), 3]}, meta)
    assert moved["pair"].first.device == meta and moved["pair"].names == ["a"]
    assert moved["rest"][0].device == meta and moved["rest"][1] == 3
