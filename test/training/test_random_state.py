import io
import random

import numpy as np
import torch

from training.random_state import random_state, restore_random_state

CPU = torch.device("cpu")


def draw() -> tuple[float, float, float, float]:
    return random.gauss(0, 1), float(np.random.standard_normal()), float(np.random.rand()), float(torch.randn(()))


def test_all_generators_go_on_from_where_they_were_saved() -> None:
    draw()
    stream = io.BytesIO()
    torch.save(random_state(CPU), stream)
    expected = [draw() for _ in range(3)]
    stream.seek(0)
    restore_random_state(torch.load(stream, weights_only=True), CPU)
    assert [draw() for _ in range(3)] == expected
