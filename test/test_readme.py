"""What the README promises is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from kp_ros.cli import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[1]
README = (CHECKOUT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_parameter_and_its_default() -> None:
    pytest.importorskip("rclpy")
    from kp_ros.ros.parameters import Settings

    told = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", section("Parameters"), re.MULTILINE))
    actual = {one.name: one.default for one in fields(Settings)}
    assert told == {
        name: str(default).lower() if isinstance(default, bool) else str(default) or '""'
        for name, default in actual.items()
    }


def test_every_command() -> None:
    assert re.findall(r"^\| `kp_ros (\w+)", section("Use it as a library"), re.MULTILINE) == list(COMMANDS)


def test_every_field_of_the_clouds() -> None:
    from kp_ros.point_cloud import feature_dtype

    topics = section("Topics")
    names = feature_dtype(64, "float32").names
    assert names is not None
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`(.*?)`", topics))))
    assert set(names) <= words


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(document: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (CHECKOUT / document).read_text())
    missing = [target for target in targets if "://" not in target and not (CHECKOUT / target).exists()]
    assert not missing


def test_make_targets_exist() -> None:
    told = set(re.findall(r"^    make (\w+)", README + (CHECKOUT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= told <= targets


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2
    import numpy as np

    if not (CHECKOUT / "models" / "kp_base.onnx").is_file():
        pytest.skip("the default model is not there")
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    cv2.imwrite(str(tmp_path / "frame.png"), cv2.GaussianBlur(noise, (0, 0), 2))
    monkeypatch.chdir(tmp_path)
    example = README.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert len(names["result"].tracks)  # type: ignore[attr-defined]
