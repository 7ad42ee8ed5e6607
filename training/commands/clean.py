"""``python -m training clean``: give back the disk that rendered worlds and results of evaluations take."""

from __future__ import annotations

from typing import Annotated

import typer

from kp_ros.commands.reporting import reported, say


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command()(reported(clean))


def clean(
    unused_days: Annotated[float, typer.Option(min=0, help="Only what was not used for so many days.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove what training and evaluation keep in ~/.cache/kp_ros; what is needed again is made again.

    Not while a training runs: it would miss its worlds. Runs, models and data sets are never touched.

    Example: python -m training clean --unused-days 30
    """
    from training.kept import Kind, kept_entries, kept_folder, remove

    for kind in Kind:
        entries = kept_entries(kind, unused_days)
        if not dry_run:
            remove(entries)
        megabytes = sum(entry.size for entry in entries) / 1e6
        say(f"{kept_folder(kind)}: {len(entries)} entries, {megabytes:.0f} MB {'to remove' if dry_run else 'removed'}")
