"""What the tables under benchmarks/methods are computed with."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.methods.picture import DARK, GAP, LIGHT, TITLE, panel
from benchmarks.methods.runner import (
    CHECKOUT,
    START,
    Judged,
    Trained,
    Variant,
    held_out_figures,
    hold_out,
    kept,
    mean_over,
    over_seeds,
    repeatability_by_budget,
    table,
)
from benchmarks.methods.table_b import CLAIMS, VARIANTS, _claim
from benchmarks.methods.table_d import accepting
from training.configuration import load_config, save_config
from training.data.flat_scenes import FlatSettings, flat_scenes
from training.data.rendered_worlds import RenderedSettings
from training.methods.dad import DadConfig
from training.methods.registry import METHODS
from training.methods.ripe import RipeConfig
from training.methods.running import run_method
from training.methods.training_data import DataSettings, held_out, open_training_data
from training.runs import CONFIG
from training.trainer import CHECKPOINT


def at_first(load: Any, index: int) -> Any:
    return load(0)


def test_means_and_spreads() -> None:
    assert over_seeds([1.0, None, 3.0, float("nan")]) == {"mean": 2.0, "spread": pytest.approx(2**0.5, abs=1e-4)}
    assert over_seeds([2.0]) == {"mean": 2.0} and over_seeds([None]) == {}
    judged = [{"a": {"ate": 1.0}, "b": {"ate": 3.0}}, {"a": {"ate": 2.0}, "b": {}}]
    assert mean_over(judged, ["a", "b"], "ate") == over_seeds([2.0, 2.0])
    assert table({"row": {"x": {"mean": 1.0, "spread": 0.5}, "y": {}}}, ["x", "y"]).endswith("| row | 1.00 ± 0.50 |  |")


def test_a_claim_holds_where_the_gain_is_more_than_the_spread() -> None:
    keys = ("aktl", "vtl", "auc5_gap5", "auc5_gap15", "repeatability_gap5", "repeatability_gap15")
    one = {key: {"mean": 5.0, "spread": 0.3} for key in keys} | {"ate": {"mean": 0.2, "spread": 0.01}}
    other = {key: {"mean": 4.0, "spread": 0.4} for key in keys} | {"ate": {"mean": 0.1, "spread": 0.0}}
    found = _claim({"full": one, "match": other}, "full", "match")
    assert found["aktl"] == {"gain": 1.0, "noise": 0.5, "verdict": "holds"}
    assert found["ate"]["verdict"] == "contradicted", "of the trajectory's error less is better"
    del one["aktl"]["spread"]
    assert _claim({"full": one, "match": other}, "full", "match")["aktl"] == {"gain": 1.0, "verdict": "has one seed"}
    other["vtl"] = {"mean": 5.2, "spread": 0.0}
    assert _claim({"full": one, "match": other}, "full", "match")["vtl"]["verdict"] == "within the spread"


def test_what_was_computed_is_kept_until_the_checkpoint_is_newer(tmp_path: Path) -> None:
    checkpoint, file = tmp_path / "last.pt", tmp_path / "judged" / "run.json"
    checkpoint.touch()
    assert [kept(file, checkpoint, lambda k=k: {"x": k})["x"] for k in (1.0, 2.0)] == [1.0, 1.0]
    later = file.stat().st_mtime + 10
    os.utime(checkpoint, (later, later))
    assert kept(file, checkpoint, lambda: {"x": 3.0}) == {"x": 3.0}


def test_every_variant_of_the_ablation_is_a_configuration() -> None:
    names = {variant.name for variant in VARIANTS}
    assert all(name in names for claim in CLAIMS for name in claim)
    file = CHECKOUT / "training" / "configs" / "traqpoint.yaml"
    configs = [load_config(METHODS[one.method].config, file, list(one.overrides)) for one in VARIANTS]
    assert all(first != second for k, first in enumerate(configs) for second in configs[:k])


def test_what_is_held_out_was_not_trained_on(small: dict[str, Any]) -> None:
    world = RenderedSettings(64, 48, 4, 4.0, rooms=1.0)
    settings = DataSettings(worlds=1, world=world, photographs=small["data"].photographs, store=small["data"].store)
    (rest,) = open_training_data(held_out(settings))
    trained = [sequence for sequence in open_training_data(settings) if sequence.name.startswith("room")]
    assert np.abs(trained[0].image(0).astype(int) - rest.image(0)).mean() > 5


def test_own_figures_and_repeatability_of_a_run(small: dict[str, Any], photographs: Path, tmp_path: Path) -> None:
    data = DataSettings(worlds=2, world=RenderedSettings(96, 96, 8, 8.0, rooms=1.0), store=small["data"].store)
    config = DadConfig(**{**small, "data": data, "steps": 2, "overlap": (0.1, 1.0)})
    save_config(config, tmp_path / CONFIG)
    run_method(METHODS["dad"], config, tmp_path)
    checkpoint = tmp_path / CHECKPOINT
    first, again = held_out_figures("dad", tmp_path, [checkpoint, checkpoint], batches=2)
    assert first == again and 0 <= first["hit_rate"] <= 1
    flat = FlatSettings(views=3, width=96, height=96, nearest=1.5, farthest=2.0, tilt=10.0, longest_side=320)
    scene = flat_scenes([photographs], flat)[0]
    twice = replace(scene, poses=np.stack([scene.poses[0]] * 3), load_image=partial(at_first, scene.load_image))
    twice = replace(twice, load_depth=partial(at_first, scene.load_depth))
    shares = repeatability_by_budget(str(checkpoint), [twice], (16, 64), gaps=(1,), stride=1)
    assert shares == {"16@1": 100.0, "64@1": 100.0}, "a frame beside itself"


def test_as_many_points_are_accepted_as_are_wanted(small: dict[str, Any], tmp_path: Path) -> None:
    data = DataSettings(worlds=1, world=RenderedSettings(96, 96, 4, 4.0, rooms=1.0), store=small["data"].store)
    config = RipeConfig(**{**small, "data": data, "steps": 1, "negatives": 0.0, "border": 4})
    save_config(config, tmp_path / CONFIG)
    run_method(METHODS["ripe"], config, tmp_path)
    checkpoint = tmp_path / CHECKPOINT
    measure = hold_out("ripe", tmp_path, 2)
    before = measure.figures(checkpoint)["acceptance"]
    for wanted in (0.15, 0.35):
        accepted = accepting(measure, checkpoint, wanted).figures(checkpoint)["acceptance"]
        # Draws change with the logits: a grid of 32 cells an image cannot do better.
        assert accepted == pytest.approx(wanted, abs=0.05)
        assert abs(accepted - wanted) < abs(before - wanted)


def test_rows_are_the_start_and_the_variants_over_their_seeds() -> None:
    runs = tuple(Trained(Variant(name, "dad"), seed, Path(name)) for seed in (0, 1) for name in ("one", "two"))
    ates = {START: 4.0, "one_0": 1.0, "two_0": 2.0, "one_1": 3.0, "two_1": 2.0}
    judged = Judged(Path("start.pt"), runs, {name: {"road": {"ate": value}} for name, value in ates.items()})
    assert judged.rows == {START: [START], "one": ["one_0", "one_1"], "two": ["two_0", "two_1"]}
    assert list(judged.checkpoints) == [START, "one_0", "two_0", "one_1", "two_1"] and judged.sequences == ["road"]
    assert judged.table(["ate"]) == {
        START: {"ate": {"mean": 4.0}},
        "one": {"ate": over_seeds([1.0, 3.0])},
        "two": {"ate": {"mean": 2.0, "spread": 0.0}},
    }


def test_a_panel_shows_light_and_dark_points_in_their_colours() -> None:
    image = np.full((128, 160, 3), 128, np.uint8)
    # A light and a dark square, whose corners ORB finds.
    image[30:50, 30:50], image[80:100, 100:120] = 255, 0
    drawn = panel(image, "orb", 20)
    assert drawn.shape == (TITLE + 128, 160, 3) and GAP > 0
    colours = {tuple(pixel) for pixel in drawn[TITLE:].reshape(-1, 3).tolist()}
    assert LIGHT in colours and DARK in colours
