"""``python -m training train``: run a training method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kp_ros.errors import UserError

CONFIGS = Path(__file__).parents[1] / "configs"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(train)


def train(
    method: Annotated[str, typer.Argument(help="rfp, ripe, dad, distillation or traqpoint.")],
    output: Annotated[Path, typer.Option(help="Folder of the run; an unfinished run in it is resumed.")],
    config: Annotated[Path | None, typer.Option(help="YAML file; training/configs/METHOD.yaml if not given.")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, over the file.")] = None,
) -> None:
    """Train a keypoint network by reinforcement; Ctrl-C saves, the same command goes on.

    Example: python -m training train dad --output runs/dad start=runs/base/last.pt steps=2000
    """
    from training.configuration import load_config, save_config
    from training.methods.registry import find_method
    from training.methods.running import resolve, run_method
    from training.runs import CONFIG

    chosen = find_method(method)
    resolved = resolve(load_config(chosen.config, config or CONFIGS / f"{method}.yaml", overrides or []))
    if resolved.method != method:
        raise UserError(
            f"this configuration is of the method '{resolved.method}', not of '{method}'; name it, or another file"
        )
    output.mkdir(parents=True, exist_ok=True)
    save_config(resolved, output / CONFIG)
    step = run_method(chosen, resolved, output)
    Console().print(f"{output}: step {step} of {resolved.steps}")
