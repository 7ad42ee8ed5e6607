import pytest

from kp_ros.detectors import ModelError, choice, load_detector
from kp_ros.detectors.choice import BACKENDS, candidates, choose
from kp_ros.detectors.onnxruntime import OnnxRuntimeBackend
from kp_ros.detectors.openvino import OpenVinoBackend
from kp_ros.detectors.tensorrt import TensorRtBackend


def available(monkeypatch: pytest.MonkeyPatch, *names: str, amx: bool = False) -> None:
    """Let just these backends, and ONNX Runtime on the processor, be installed."""
    monkeypatch.setattr(TensorRtBackend, "missing", property(lambda self: "" if self.name in names else "no card"))
    monkeypatch.setattr(OpenVinoBackend, "missing", property(lambda self: "" if "openvino" in names else "not there"))
    cuda = property(lambda self: "" if not self.cuda or "onnxruntime-cuda" in names else "no CUDA")
    monkeypatch.setattr(OnnxRuntimeBackend, "missing", cuda)
    monkeypatch.setattr("kp_ros.detectors.openvino.has_amx", lambda: amx)


@pytest.mark.parametrize(
    ("there", "amx", "taken"),
    [
        (("tensorrt", "tensorrt-rtx", "openvino"), True, "tensorrt"),
        (("tensorrt-rtx", "onnxruntime-cuda"), False, "tensorrt-rtx"),
        (("onnxruntime-cuda", "openvino"), True, "onnxruntime-cuda"),
        (("openvino",), True, "openvino-cpu"),
        (("openvino",), False, "onnxruntime-cpu"),
        ((), True, "onnxruntime-cpu"),
    ],
)
def test_the_fastest_that_runs_here_is_taken(
    there: tuple[str, ...], amx: bool, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, *there, amx=amx)
    chosen = choose()
    assert chosen.backend.name == taken
    passed_over = [line.split(":")[0] for line in chosen.passed_over]
    assert passed_over == list(candidates(None))[: len(passed_over)]
    assert all(len(line.split(": ", 1)[1]) > 3 for line in chosen.passed_over)
    assert (chosen.stand_in is not None) == taken.startswith("tensorrt")


def test_an_int8_model_goes_to_openvino_on_any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, "openvino")
    assert choose(int8=True).backend.name == "openvino-cpu" and choose().backend.name == "onnxruntime-cpu"
    available(monkeypatch)
    assert choose(int8=True).backend.name == "onnxruntime-cpu"


def test_one_that_is_asked_for_and_missing_is_an_error_that_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch)
    for name in BACKENDS[1:-1]:
        with pytest.raises(ModelError, match=f"'{name}' cannot run here: no.*choose backend 'auto'"):
            choose(name)
    assert choose("onnxruntime").backend.name == "onnxruntime-cpu"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ModelError, match="choose one of: auto, tensorrt"):
        load_detector(backend="tensorflow")
    assert set(candidates(None)) | {"auto"} == set(choice.BACKENDS)


def test_the_log_says_why_not_the_others(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    available(monkeypatch)
    caplog.set_level("INFO", "kp_ros.detectors")
    load_detector()
    assert "not tensorrt: no card" in caplog.text and "not openvino: not there" in caplog.text
