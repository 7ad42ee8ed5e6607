"""The order of calls, without a card; test/gpu has what needs one."""

import numpy as np
import pytest
from fake_cuda import FakeCuda, FakeTensorRt

from kp_ros.detectors.tensorrt_running import EngineError, TensorRtProgram, precision_in


def image(value: int) -> "np.typing.NDArray[np.uint8]":
    return np.full((8, 16), value, np.uint8)


def test_frames_run_as_graphs_and_answer_in_order() -> None:
    cuda = FakeCuda()
    program = TensorRtProgram(FakeTensorRt(cuda), cuda, b"engine")
    assert program.captured and program.precision == "fp16"
    before = cuda.launches
    first, second = program.submit(image(10)), program.submit(image(20))
    keypoints, scores, descriptors = program.result(first)
    assert (keypoints.shape, scores.shape, descriptors.shape) == ((4, 2), (4,), (4, 3))
    assert (scores == 10).all() and (program.result(second)[1] == 20).all()
    assert cuda.launches == before + 2
    program(image(30))
    assert (scores == 10).all(), "an answer is the caller's own"


def test_closing_frees_everything() -> None:
    cuda = FakeCuda()
    program = TensorRtProgram(FakeTensorRt(cuda), cuda, b"engine")
    assert cuda.live > 0
    program.close()
    assert cuda.live == 0


@pytest.mark.parametrize("harm", ["refused", "empty", "frozen"])
def test_a_graph_that_does_not_do_the_work_is_not_used(harm: str, caplog: pytest.LogCaptureFixture) -> None:
    cuda = FakeCuda()
    cuda.capture_refused, cuda.capture_loses = harm == "refused", harm == "empty"
    program = TensorRtProgram(FakeTensorRt(cuda, frozen_graph=harm == "frozen"), cuda, b"engine")
    assert not program.captured
    reasons = {
        "refused": "operation not permitted when stream is capturing",
        "empty": "nothing was recorded",
        "frozen": "one answer to two images",
    }
    assert reasons[harm] in caplog.text
    assert (program(image(42))[1] == 42).all()
    program.close()
    assert cuda.live == 0


def test_an_engine_that_does_not_load_is_refused() -> None:
    cuda = FakeCuda()
    with pytest.raises(EngineError, match="does not load"):
        TensorRtProgram(FakeTensorRt(cuda), cuda, b"old engine")
    assert cuda.live == 0


@pytest.mark.parametrize(
    ("information", "precision"),
    [
        ('{"Layers": [{"Outputs": [{"Format/Datatype": "Row major linear FP32"}]}]}', "fp32"),
        (
            '{"Layers": [{"Outputs": [{"Format/Datatype": "FP32"}]}, {"Outputs": [{"Format/Datatype": "Half"}]}]}',
            "fp16",
        ),
        ('{"Layers": [{"Outputs": [{"Format/Datatype": "Four wide channel vectorized Int8"}]}]}', "int8"),
        ('{"Layers": ["conv_1", "conv_2"]}', "unknown"),
        ("not JSON", "unknown"),
    ],
)
def test_the_precision_is_read_from_the_layers(information: str, precision: str) -> None:
    assert precision_in(information) == precision
