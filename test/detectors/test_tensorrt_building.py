"""Against the real TensorRT-RTX, which builds engines without a card."""

import sys
import types
from pathlib import Path
from typing import Any

import onnx
import pytest

from kp_ros.detectors.base import ModelError
from kp_ros.detectors.model_file import read_model
from kp_ros.detectors.tensorrt import PRECISIONS, engine_precision, graph_of
from kp_ros.detectors.tensorrt_building import BuildWatcher, build_engine, load, missing, uncovered
from kp_ros.resources import models_directory

MODELS = sorted(models_directory().glob("*.onnx"))


def without_weights(file: Path) -> bytes:
    """A model's graph alone: whether an engine can be built of it does not depend on the trained numbers."""
    graph = onnx.load(file).graph
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.ClearField("raw_data")
    return bytes(graph.SerializeToString(deterministic=True))


#: One model of each structure: a build takes seconds.
STRUCTURES = list({without_weights(file): file for file in reversed(MODELS)}.values())
#: What each is built in: a model that is not fp32 keeps its own.
BUILDS = [
    (file, precision)
    for file in STRUCTURES
    for precision in sorted({engine_precision(read_model(file), asked) for asked in PRECISIONS})
]
CAPABILITIES = ("8.6", "8.9", "12.0")


@pytest.fixture(scope="module")
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="pip install tensorrt-rtx-cu13 (x86-64 only)")


@pytest.mark.parametrize(("file", "precision"), BUILDS, ids=lambda value: getattr(value, "stem", value))
def test_every_shipped_structure_builds_for_every_card(trt: Any, file: Path, precision: str) -> None:
    content = graph_of(read_model(file), 480, 640, 1024, precision)
    told: list[tuple[str, float]] = []
    engine = build_engine(trt, content, lambda phase, share: told.append((phase, share)), CAPABILITIES)
    assert len(engine) > 100_000
    shares = [share for phase, share in told if phase == told[0][0]]
    assert shares == sorted(shares) and shares[-1] > 0.5


def test_a_watcher_begins_each_build_at_nothing() -> None:
    watcher = BuildWatcher()
    watcher("Tactics", 0.8)
    watcher("A phase within", 0.1)
    assert (watcher.phase, watcher.share) == ("A phase within", 0.8)
    watcher.begin()
    assert (watcher.phase, watcher.share) == ("", 0.0)


def test_another_size_and_budget_build(trt: Any) -> None:
    content = graph_of(read_model(MODELS[0]), 384, 1248, 2048, "fp16")
    assert len(build_engine(trt, content, compute_capabilities=("8.9",))) > 100_000


def test_a_card_that_it_does_not_build_for_is_named(trt: Any) -> None:
    with pytest.raises(ModelError, match=r"9\.0, only for .*8\.6"):
        build_engine(trt, graph_of(read_model(MODELS[0]), 256, 320, 64, "fp32"), compute_capabilities=("9.0",))


def test_a_card_that_it_does_not_cover_is_passed_over(trt: Any) -> None:
    assert uncovered(trt, "8.9") == ""
    assert "does not build for compute capability 9.0, only for 7.5, 8.0" in uncovered(trt, "9.0")
    assert uncovered(types.SimpleNamespace(__name__="tensorrt"), "9.0") == ""


def test_what_it_cannot_read_is_refused_with_its_own_words(trt: Any) -> None:
    content = graph_of(read_model(MODELS[0]), 256, 320, 64, "fp32")
    with pytest.raises(ModelError, match="Sigmund"):
        build_engine(trt, content.replace(b"Sigmoid", b"Sigmund"))


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ModelError, match="choose one of: fp16, fp32"):
        engine_precision(read_model(MODELS[0]), "fp8")


def test_an_older_tensorrt_that_builds_for_its_own_card_only_says_so(trt: Any) -> None:
    class OldConfig:
        pass

    from kp_ros.detectors.tensorrt_building import _aim

    with pytest.raises(ModelError, match="builds only for the card that it runs on"):
        _aim(types.SimpleNamespace(__name__="tensorrt"), OldConfig(), ("8.6",))


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "pip install tensorrt-rtx-cu13" in missing("tensorrt_rtx") or missing("tensorrt_rtx") == ""
    (tmp_path / "broken_trt.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "libnvinfer.so.10" in missing("broken_trt") and "fits the CUDA driver" in missing("broken_trt")
    with pytest.raises(ModelError, match="does not load"):
        load("broken_trt")
