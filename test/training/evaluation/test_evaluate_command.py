"""The command as a person runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sliding_wall import write_homography_set, write_wall_sequence

from kp_ros.errors import UserError
from training.commands.evaluate import parse_gaps

CHECKOUT = Path(__file__).resolve().parents[3]


def command(data: Path, output: Path, *more: str) -> list[str]:
    options = ["--data", str(data), "--output", str(output), "--cache", str(output / "cache"), "--gaps", "1,3"]
    return [sys.executable, "-m", "training", "evaluate", "orb", "klt", *options, "--keypoints", "150", *more]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=CHECKOUT, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_wall_sequence(folder / "wall", frames=10)
    write_homography_set(folder / "homography")
    (folder / "photos").mkdir()
    return folder


@pytest.fixture(scope="module")
def output(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    done = run(*command(data, folder, "--seeds", "2", "--timed-frames", "2"))
    assert done.returncode == 0, done.stderr
    return folder


def test_the_numbers_are_written_for_programs(output: Path) -> None:
    results = json.loads((output / "results.json").read_text())
    orb, klt = results["summary"]["orb"], results["summary"]["klt"]
    assert orb["sequences"]["wall"]["aktl"]["mean"] > 3
    assert orb["mean"]["repeatability_gap3"]["mean"] > 80
    assert orb["milliseconds"]["median"] > 0
    assert orb["pair_sets"]["homography"]["auc"][2]["mean"] > 50
    assert klt["mean"]["vtl"]["spread"] is not None
    assert klt["pair_sets"] == {}
    assert results["protocol"]["sequences"]["estimator"] == {"name": "opencv-magsac", "threshold": 1.0}
    assert len(results["sequences"]["klt"]["wall"]["runs"]) == 2


def test_the_table_is_written_for_people(output: Path) -> None:
    table = (output / "results.md").read_text()
    assert "| orb |" in table and "± " in table
    assert "opencv-magsac 1 px" in table
    # Every row of a table has as many cells as its head.
    for block in re.findall(r"(?:^\|.*\n)+", table, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_needs_nothing_from_elsewhere(output: Path) -> None:
    text = (output / "index.html").read_text()
    page = Elements()
    page.feed(text)
    assert page.open == []
    assert page.addresses and all(address.startswith(("data:image/jpeg", "#")) for address in page.addresses)
    assert "link" not in page.names and "@import" not in text and "url(" not in text
    # Two gaps, two histograms, a trajectory, a homography set; best and worst pair of sequences and of the set.
    assert page.names.count("svg") == 6
    assert page.names.count("img") == 2 * 2 + 2 * 1
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text


def test_a_second_run_computes_nothing_again(data: Path, output: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (output / "cache").rglob("*") if file.is_file()}
    first = json.loads((output / "results.json").read_text())
    done = run(*command(data, output, "--seeds", "2", "--timed-frames", "2"))
    assert done.returncode == 0, done.stderr
    assert {file: file.stat().st_mtime_ns for file in (output / "cache").rglob("*") if file.is_file()} == before
    second = json.loads((output / "results.json").read_text())
    assert second["summary"] == first["summary"]


def test_ctrl_c_leaves_a_whole_cache_and_the_same_command_goes_on(data: Path, tmp_path: Path) -> None:
    arguments = command(data, tmp_path, "--timed-frames", "0", "--seeds", "2000", "--sequences", "wall")
    process = subprocess.Popen(arguments, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    # The features are there: the process is in the middle of the many runs.
    while len(list((tmp_path / "cache").rglob("*.npz"))) < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "the same command goes on" in error
    assert not (tmp_path / "index.html").exists()
    files = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert len(files) >= 10
    for file in files:
        with np.load(file) as entry:
            assert set(entry.files) == {"keypoints", "scores", "descriptors"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--sequences", "nowhere"], "there is no nowhere in the data; it holds: wall, homography"),
        (["--estimator", "guess"], "estimator 'guess' is unknown"),
        (["--gaps", "1,x"], "give whole numbers"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_to_do(
    data: Path, tmp_path: Path, more: list[str], reason: str
) -> None:
    done = run(*command(data, tmp_path, *more))
    assert done.returncode == 1
    assert reason in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_gaps_are_sorted_and_above_zero() -> None:
    assert parse_gaps("15,1,5,5") == (1, 5, 15)
    with pytest.raises(UserError, match="at least 1 apart"):
        parse_gaps("0,4")
