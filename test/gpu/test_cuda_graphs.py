"""Pinned buffers, streams and CUDA graphs on the real CUDA, with an engine that only copies: no TensorRT needed.

So the code that runs engines runs on cards that no TensorRT here builds for, too.
"""

from typing import Any

import numpy as np
import pytest
from fake_cuda import SHAPES, FakeTensorRt

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.cuda import check, load_cuda, this_machine
from kp_ros.detectors.tensorrt_running import OUTPUTS, SLOTS, TensorRtProgram


class CopyingTensorRt(FakeTensorRt):
    """Its engine answers with the image's first bytes, copied on the card."""

    def nptype(self, dtype: Any) -> Any:
        return np.uint8

    def context(self) -> Any:
        return _CopyingContext(self.cuda)


class _CopyingContext:
    def __init__(self, cuda: Any) -> None:
        self.cuda = cuda
        self.addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        kind = self.cuda.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        for name in OUTPUTS:
            size = int(np.prod(SHAPES[name]))
            source = self.addresses["image"]
            check(self.cuda, self.cuda.cudaMemcpyAsync(self.addresses[name], source, size, kind, stream))
        return True


@pytest.fixture
def cuda() -> Any:
    try:
        cuda = load_cuda()
        this_machine(cuda)
    except ModelError as error:
        pytest.skip(str(error))
    return cuda


def image(seed: int) -> "np.typing.NDArray[np.uint8]":
    return np.random.default_rng(seed).integers(0, 255, SHAPES["image"][2:], np.uint8)


def test_the_card_is_described(cuda: Any) -> None:
    machine = this_machine(cuda)
    assert machine.gpu and machine.multiprocessors > 0 and float(machine.compute_capability) >= 5


def test_a_graph_answers_as_the_plain_queue_does(cuda: Any) -> None:
    program = TensorRtProgram(CopyingTensorRt(cuda), cuda, b"engine")
    assert program.captured
    for seed in range(20):
        answers, slot = program(image(seed)), program._slots[seed % SLOTS]
        for name, answer, plain in zip(OUTPUTS, answers, program._plain(slot, image(seed)), strict=True):
            np.testing.assert_array_equal(answer, plain)
            np.testing.assert_array_equal(answer.ravel(), image(seed).ravel()[: int(np.prod(SHAPES[name]))])
    program.close()


def test_frames_under_way_at_once_do_not_mix(cuda: Any) -> None:
    program = TensorRtProgram(CopyingTensorRt(cuda), cuda, b"engine")
    for first in range(0, 100, SLOTS):
        numbers = [program.submit(image(first + k)) for k in range(SLOTS)]
        for k, number in enumerate(numbers):
            np.testing.assert_array_equal(program.result(number)[1].ravel(), image(first + k).ravel()[:4])
    program.close()


def test_closing_gives_the_memory_back(cuda: Any) -> None:
    TensorRtProgram(CopyingTensorRt(cuda), cuda, b"engine").close()
    before = check(cuda, cuda.cudaMemGetInfo())[0]
    for _ in range(50):
        TensorRtProgram(CopyingTensorRt(cuda), cuda, b"engine").close()
    assert before - check(cuda, cuda.cudaMemGetInfo())[0] < 8e6
