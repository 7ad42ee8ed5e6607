"""``kp_ros engine``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from kp_ros.commands.reporting import console, reported, say

if TYPE_CHECKING:
    from kp_ros.detectors.tensorrt_building import BuildWatcher

HELP = """Build TensorRT engines ahead of time, list them, remove them.

The node builds what it lacks by itself, in the background. Building here first spares a robot that wait: some seconds
on a desktop card, minutes on a Jetson. Engines lie in $KP_ROS_ENGINES, by default ~/.cache/kp_ros/engines.
"""
BUILD_EPILOG = """**Examples**

- `kp_ros engine build --size 640x480`

- `kp_ros engine build kp_mine.onnx --size 1280x720 --max-keypoints 2048 --precision fp32`

- For a robot's card, on a machine without one: `kp_ros engine build --backend tensorrt-rtx --for 8.9`
"""


def register(app: typer.Typer) -> None:
    """Add the command and its subcommands."""
    engine = typer.Typer(help=HELP, epilog=BUILD_EPILOG, no_args_is_help=True, rich_markup_mode="markdown")
    app.add_typer(engine, name="engine")

    @engine.command(epilog=BUILD_EPILOG)
    @reported
    def build(
        model: Annotated[
            str | None, typer.Argument(metavar="MODEL", help="A shipped model's name or an .onnx.", show_default=False)
        ] = None,
        size: Annotated[str, typer.Option(metavar="WxH", help="Of the camera's images.")] = "640x480",
        max_keypoints: Annotated[int, typer.Option("--max-keypoints", "-k", metavar="K", min=1)] = 1024,
        precision: Annotated[str, typer.Option(help="Of the convolutions: fp16 or fp32.")] = "fp16",
        backend: Annotated[str, typer.Option(help="tensorrt or tensorrt-rtx.")] = "tensorrt",
        compute_capability: Annotated[
            str | None,
            typer.Option("--for", metavar="8.9", help="Build for another machine's card (TensorRT-RTX only)."),
        ] = None,
    ) -> None:
        """Build an engine, or find it built.

        Ctrl-C leaves no half engine behind.
        """
        from kp_ros.detectors.engine_cache import EngineCache, default_folder
        from kp_ros.detectors.model_file import find_model, read_model
        from kp_ros.detectors.tensorrt import TensorRtBackend

        width, height = parse_size(size)
        with _bar() as progress:
            task = progress.add_task("looks for it", total=1.0)
            chosen = TensorRtBackend(
                backend.replace("-", "_"), precision, EngineCache(default_folder()), _shown(progress, task)
            )
            key = chosen.ahead(read_model(find_model(model)), height, width, max_keypoints, compute_capability)
            progress.update(task, completed=1.0, description="built")
        say(f"{key.stem}: ready in {chosen.cache.folder}")

    @engine.command("list")
    @reported
    def list_engines() -> None:
        """Show the engines that are there."""
        from kp_ros.detectors.engine_cache import EngineCache, default_folder

        cache = EngineCache(default_folder())
        table = Table("model", "size", "K", "precision", "backend", "card", "MB", "built", title=str(cache.folder))
        for found in cache.engines():
            key, built = found.key, datetime.fromtimestamp(found.built).strftime("%Y-%m-%d %H:%M")
            size = f"{found.size / 1e6:.1f}"
            if key is None:
                table.add_row(found.file.stem, "", "", "", "", "damaged: it will be built anew", size, built)
                continue
            table.add_row(
                key.model,
                f"{key.width}x{key.height}",
                str(key.max_keypoints),
                key.precision,
                f"{key.backend} {key.backend_version}",
                f"{key.gpu} {key.compute_capability}".strip(),
                size,
                built,
            )
        console.print(table)

    @engine.command()
    @reported
    def clean() -> None:
        """Remove all engines; what is needed is built again."""
        from kp_ros.detectors.engine_cache import EngineCache, default_folder

        cache = EngineCache(default_folder())
        count = len(cache.engines())
        freed = cache.clean()
        say(f"{count} engines removed from {cache.folder}, {freed / 1e6:.1f} MB")


def _shown(bar: Progress, task: TaskID) -> BuildWatcher:
    """What shows how far a build is. The libraries come with it, which `kp_ros --help` can do without."""
    from kp_ros.detectors.tensorrt_building import BuildWatcher

    class Shown(BuildWatcher):
        def __call__(self, phase: str, share: float) -> None:
            super().__call__(phase, share)
            bar.update(task, completed=self.share, description=phase)

    return Shown()


def _bar() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def parse_size(text: str) -> tuple[int, int]:
    """``640x480`` to width and height.

    :raises UserError: it is no size.
    """
    from kp_ros.errors import UserError

    found = re.fullmatch(r"(\d+)\s*[xX]\s*(\d+)", text.strip())
    if found is None or min(map(int, found.groups())) < 32:
        raise UserError(f"size '{text}' is none; write width x height, as 640x480, at least 32x32")
    return int(found[1]), int(found[2])
