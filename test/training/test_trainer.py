import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import Batches, Regression, train_shared

from training.checkpoint import load_checkpoint
from training.optimisation import TrainerSettings
from training.precision import Precision
from training.schedules import Schedule, Shape
from training.trainer import CHECKPOINT, train

SETTINGS = TrainerSettings(
    steps=40,
    learning_rate=Schedule(Shape.COSINE, 1e-2, 1e-4),
    warm_up=5,
    weight_decay=1e-4,
    checkpoint_every=10,
    loader_processes=0,
    accelerator="cpu",
)


@pytest.fixture(autouse=True)
def seeds() -> Iterator[None]:
    """Training draws from all generators: every run of a test starts them equal."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    yield


def changed(**fields: object) -> TrainerSettings:
    return TrainerSettings(**{**SETTINGS.__dict__, **fields})


def run(folder: Path, settings: TrainerSettings = SETTINGS, break_at: int | None = None, poison: int | None = None):  # type: ignore[no-untyped-def]
    folder.mkdir(exist_ok=True)
    objective = Regression(break_at, poison)
    step = train(objective, Batches(), settings, folder)
    return objective, step


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one_to_the_bit(tmp_path: Path, accumulate: int) -> None:
    settings = changed(accumulate=accumulate)
    whole, step = run(tmp_path / "whole", settings)
    assert step == 40
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "broken", settings, break_at=27)
    assert load_checkpoint(tmp_path / "broken" / CHECKPOINT).step == 20
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    resumed, _ = run(tmp_path / "broken", settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    # The lines of the steps that were lost are not there twice.
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert steps == [20, 40]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_it_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the loader's process too, which must not fail for it."""

    class Interrupted(Regression):
        def forward(self, batch: torch.Tensor, step: int) -> tuple[torch.Tensor, dict[str, float | torch.Tensor]]:
            if step == 16:
                for process in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
                    assert process is not None
                    os.kill(process, number)
            return super().forward(batch, step)

    settings = changed(loader_processes=1)
    whole, _ = run(tmp_path / "whole", settings)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    before = signal.getsignal(number)
    (tmp_path / "broken").mkdir()
    assert train(Interrupted(), Batches(), settings, tmp_path / "broken") == 17
    assert load_checkpoint(tmp_path / "broken" / CHECKPOINT).step == 17
    assert signal.getsignal(number) is before
    resumed, step = run(tmp_path / "broken", settings)
    assert step == 40
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_checkpoint_of_the_first_format_goes_on(tmp_path: Path) -> None:
    """Written by runs before there were several processes."""
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path, break_at=27)
    file = tmp_path / CHECKPOINT
    new = load_checkpoint(file)
    old = {"step": 20, "model": new.model, "optimiser": new.optimiser, "skipped": 3}
    torch.save({**old, "random_state": new.random_states[0]["torch"]}, file)
    assert load_checkpoint(file).step == 20
    _, step = run(tmp_path)
    assert step == 40 and load_checkpoint(file).skipped == 3


@pytest.mark.parametrize("precision", Precision)
def test_a_step_that_is_not_finite_is_left_out_and_counted(tmp_path: Path, precision: Precision) -> None:
    objective, _ = run(tmp_path, changed(precision=precision), poison=7)
    assert all(torch.isfinite(value).all() for value in objective.state_dict().values())
    first, last = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert last["step"] == 40 and last["skipped"] == first["skipped"] == 1
    # The bad step is no part of the mean.
    assert np.isfinite(first["loss"]) and first["loss"] > last["loss"]
    checkpoint = load_checkpoint(tmp_path / CHECKPOINT)
    assert checkpoint.skipped == 1 and bool(checkpoint.scaler) == (precision is Precision.FP16)
    if checkpoint.scaler:
        assert checkpoint.scaler["scale"] == 32768.0  # halved by the bad step


def test_accumulated_batches_give_the_gradient_of_their_mean(tmp_path: Path) -> None:
    settings = changed(steps=1, accumulate=4, warm_up=0, gradient_clip=1e9, weight_decay=0.0)
    (tmp_path / "run").mkdir()
    objective = Regression(dropout=0.0, normalise=False)
    start = [p.detach().clone() for p in objective.parameters()]
    train(objective, Batches(), settings, tmp_path / "run")
    expected = Regression(dropout=0.0, normalise=False)
    for parameter, value in zip(expected.parameters(), start, strict=True):
        parameter.data.copy_(value)
    torch.stack([expected(Batches()[k], 0)[0] for k in range(4)]).mean().backward()
    moments = load_checkpoint(tmp_path / "run" / CHECKPOINT).optimiser["state"]
    for k, parameter in enumerate(expected.parameters()):
        assert parameter.grad is not None
        torch.testing.assert_close(moments[k]["exp_avg"] / 0.1, parameter.grad)


def test_the_gradient_is_clipped_and_its_norm_before_that_is_logged(tmp_path: Path) -> None:
    run(tmp_path, changed(steps=20, gradient_clip=1e-3))
    moments = load_checkpoint(tmp_path / CHECKPOINT).optimiser["state"]
    assert sum(float(m["exp_avg"].square().sum()) for m in moments.values()) ** 0.5 < 1.01e-3
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert line["gradient_norm"] > 0.1 and 0 <= line["data_wait"] <= 1 and line["reward"] == pytest.approx(9.5)


def test_tensorboard_has_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [20, 40]


TWO_PROCESSES = """
import sys, torch
sys.path[:0] = [{tests!r}]
torch.set_num_threads(1)
from pathlib import Path
from small_training import train_shared
train_shared(Path(sys.argv[1]))
"""


def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    """torchrun with gloo: the same data in the same steps, so the same averaged gradients and the same weights."""
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    checkpoints = []
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
        if name == "one":
            train_shared(tmp_path / name)
        else:
            subprocess.run([*command, str(tmp_path / name)], env=environment, check=True, timeout=240)
        checkpoints.append(load_checkpoint(tmp_path / name / CHECKPOINT))
    two, one = checkpoints
    assert len(two.random_states) == 2 and len(one.random_states) == 1
    assert not torch.equal(*(state["torch"] for state in two.random_states))
    for name, value in one.model.items():
        torch.testing.assert_close(two.model[name], value, rtol=1e-9, atol=1e-12)
    for k, moments in one.optimiser["state"].items():
        other = two.optimiser["state"][k]["exp_avg"]
        torch.testing.assert_close(other, moments["exp_avg"], rtol=1e-9, atol=1e-12)
    assert len((tmp_path / "two" / "log.jsonl").read_text().splitlines()) == 1


def test_another_schedule_on_resume_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, changed(steps=20))
    run(tmp_path, changed(steps=20))
    assert not caplog.records
    _, step = run(tmp_path, changed(steps=30))
    assert step == 30 and "another schedule" in caplog.text


def test_waiting_for_data_is_measured(tmp_path: Path) -> None:
    class Slow(Batches):
        def __getitem__(self, step: int) -> torch.Tensor:
            time.sleep(0.1)
            return super().__getitem__(step)

    train(Regression(), Slow(), changed(steps=20), tmp_path)
    assert json.loads((tmp_path / "log.jsonl").read_text())["data_wait"] > 0.4
