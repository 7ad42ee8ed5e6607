import hashlib
from pathlib import Path

import onnx
import pytest

from kp_ros.detectors import ModelError, load_detector
from kp_ros.detectors.model_file import find_model, read_model
from kp_ros.resources import models_directory

BASE = models_directory() / "kp_base.onnx"


def test_the_shipped_model_describes_itself() -> None:
    model = read_model(find_model(None))
    assert model.name == "kp_base" and model.descriptor_size == 64 and model.max_keypoints == 1024
    assert model.sha256 == hashlib.sha256(BASE.read_bytes()).hexdigest()
    assert model.precision == "fp32"
    assert {"data", "licence", "commit"} <= set(model.metadata)
    assert BASE.stat().st_size < 5e6
    assert BASE.with_suffix(".md").is_file(), "a shipped model has a card"


@pytest.mark.parametrize("file", sorted(models_directory().glob("*_int8.onnx")), ids=lambda file: file.stem)
def test_an_int8_model_is_the_twin_of_the_model_that_is_shipped(file: Path) -> None:
    """Where this fails, its parent has changed: python -m training quantise NAME models/NAME_int8.onnx --images ..."""
    twin, parent = read_model(file), read_model(find_model(file.stem.removesuffix("_int8")))
    assert twin.precision == "int8" and twin.metadata["parent"] == parent.sha256
    assert file.with_suffix(".md").is_file(), "a shipped model has a card"


def test_specialising_sets_size_and_budget_and_nothing_else() -> None:
    model = read_model(BASE)
    special = onnx.load_model_from_string(model.specialise(96, 128, 300))
    onnx.checker.check_model(special)
    assert [d.dim_value for d in special.graph.input[0].type.tensor_type.shape.dim] == [1, 1, 96, 128]
    assert len(special.graph.node) == len(onnx.load(BASE).graph.node)


def test_a_name_a_path_and_nothing_find_the_same_model() -> None:
    assert find_model(None) == find_model("kp_base") == find_model(str(BASE)) == BASE


@pytest.mark.parametrize("model", ["kp_bass", "/nowhere/model.onnx"])
def test_a_missing_model_is_named_with_those_that_exist(model: str) -> None:
    with pytest.raises(ModelError, match=rf"{model}.*kp_base"):
        load_detector(model)


def test_damaged_and_empty_files_are_no_models(tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(BASE.read_bytes()[:100_000])
    empty = tmp_path / "empty.onnx"
    empty.touch()
    pointer = tmp_path / "pointer.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    for file in (cut, empty, pointer):
        with pytest.raises(ModelError, match=rf"{file.name}.*not a whole ONNX file.*git lfs pull"):
            load_detector(file)


def test_a_folder_cannot_be_read_as_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a file nor one of ours"):
        load_detector(tmp_path)


def test_a_model_of_somebody_else_is_refused_with_the_reason(tmp_path: Path) -> None:
    model = onnx.load(BASE)
    del model.metadata_props[:]
    foreign = tmp_path / "foreign.onnx"
    onnx.save(model, foreign)
    with pytest.raises(ModelError, match=r"not exported by kp_ros.*lacks name"):
        load_detector(foreign)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "magic"}, "backend 'magic' is unknown"),
        ({"max_keypoints": 0}, "max_keypoints is 0"),
        ({"max_keypoints": 100_000}, "choose 1 to 3840"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_detector(**options)  # type: ignore[arg-type]
