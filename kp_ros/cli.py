"""``kp_ros`` on the command line. Each subcommand is one file in :mod:`kp_ros.commands`."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

import kp_ros

#: Modules of kp_ros.commands, in the order of ``--help``. Each has ``register(app: typer.Typer) -> None``.
COMMANDS = ("demo", "replay", "run", "odometry", "extract", "overlay", "engine")

HELP = """Learned keypoints, descriptors and tracks for every camera frame.

INPUT is a recording: a ROS 2 bag (folder, .mcap or .db3), a ROS 1 .bag, a video, or a folder of images.
"""

EPILOG = """**Examples**

- See what it tracks: `kp_ros overlay drive.mcap -o drive.mp4`

- Bag in, keypoints out: `kp_ros run drive.mcap -o keypoints.mcap`

- Feed a live node: `kp_ros replay images/ --rate 0.5 --loop`

Each command explains itself: `kp_ros run --help`
"""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(kp_ros.__version__)
        raise typer.Exit


def build() -> typer.Typer:
    """The command line with all its subcommands."""
    app = typer.Typer(
        name="kp_ros",
        help=HELP,
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def callback(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        pass

    for name in COMMANDS:
        importlib.import_module(f"kp_ros.commands.{name}").register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    build()(prog_name="kp_ros")
