"""The speed benchmark at its smallest: that it measures what it says, goes on where it was, and draws."""

import json
from pathlib import Path

import cv2
import pytest

from benchmarks import speed, speed_report
from benchmarks.speed_competitors import flops_of
from kp_ros import simulation
from kp_ros.detectors.model_file import find_model, read_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of real images: the package's photographs, panned over."""
    folder = tmp_path_factory.mktemp("data")
    pictures = sorted((Path(simulation.__file__).parent / "pictures").glob("*.jpg"))
    for name, picture in zip(speed.SIZES[640, 480], pictures, strict=False):
        image = cv2.resize(cv2.imread(str(picture)), (700, 500))
        (folder / name / "images").mkdir(parents=True)
        for k in range(4):
            assert cv2.imwrite(str(folder / name / "images" / f"{k}.png"), image[k : k + 480, 4 * k : 4 * k + 640])
    return folder


def test_a_quick_run_measures_all_and_is_not_repeated(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--quick", "--models", "kp_base", "--data", str(data)]
    command += ["--output", str(tmp_path / "speed"), "--plot", str(tmp_path / "speed.png")]
    speed.main(command)
    result = json.loads((tmp_path / "speed.json").read_text())
    (setting,) = result["settings"].values()
    names = {row["name"] for row in setting["rows"]}
    assert {"ORB", "SIFT", "GFTT + Lucas-Kanade", "kp_base", "kp_base + tracker"} <= names
    for row in setting["rows"]:
        assert 0 < row["p50"] <= row["p95"] <= row["p99"] and row["points"] > 100 and row["frames"] >= 2
    assert setting["peak"] > 1e9
    table = (tmp_path / "speed.md").read_text()
    assert "| kp_base | onnxruntime-cpu | fp32 |" in table and result["facts"]["processor"] in table
    monkeypatch.setattr(speed, "line_up", lambda *_: pytest.fail("the setting was measured twice"))
    speed.main(command)
    assert json.loads((tmp_path / "speed.json").read_text())["settings"] == result["settings"]
    assert "no plot" in capsys.readouterr().out


def test_the_network_takes_what_its_card_says() -> None:
    assert flops_of(read_model(find_model("kp_base")).specialise(480, 640, 1024)) == pytest.approx(0.94e9, rel=0.02)


def row(name: str, accuracy: str, model: str = "") -> dict[str, object]:
    return {"name": name, "backend": "b", "precision": "", "model": model, "accuracy": accuracy, "p50": 5.0, "p95": 6.0}


def test_the_plot_takes_no_accuracy_of_another_model(tmp_path: Path) -> None:
    rows = [row("ORB", "orb"), row("ours", "kp", "hash"), row("old", "kp_old", "hash"), row("new", "kp_new", "hash")]
    result = {"settings": {"one": speed_report.PLOTTED | {"rows": rows}}}
    models = {"orb": "", "kp": "hash", "kp_old": "other"}
    judged = [{"sequence": "kitti_06", "method": name, "auc@15": "1/2/3", "model": models[name]} for name in models]
    left_out = speed_report.draw(result, {"rows": judged}, tmp_path / "plot.png")
    assert [line.split(":")[0] for line in left_out] == ["old", "new"]
    assert "another model's" in left_out[0] and "no accuracy of kp_new" in left_out[1]
    assert cv2.imread(str(tmp_path / "plot.png")) is not None
