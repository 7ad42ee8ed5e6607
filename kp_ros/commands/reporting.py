"""How a command ends: one line that names the cause and the fix, never a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console

from kp_ros.errors import Interrupted, UserError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: Exit status of a command that Ctrl-C ended: 128 + SIGINT, as shells have it.
INTERRUPTED = 130

#: Progress and messages go to standard error, so that a pipe gets only results.
console = Console(stderr=True)


def say(text: str, style: str = "") -> None:
    """Print one message. Paths and topics in it are not taken for markup, and a narrow terminal does not cut it."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def reported(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turn what a command raises into a message and an exit status: 1 for an error, 130 for Ctrl-C."""

    @functools.wraps(command)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            say(f"error: {error}", "bold red")
            raise typer.Exit(1) from None
        except KeyboardInterrupt as interruption:
            kept = f": {interruption}" if isinstance(interruption, Interrupted) else ""
            say(f"interrupted{kept}", "yellow")
            raise typer.Exit(INTERRUPTED) from None

    return wrapper
