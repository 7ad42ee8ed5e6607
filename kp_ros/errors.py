"""Errors that a user can mend."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong. The message is one line that names it and says how to fix it.

    The command line prints the message without a traceback and exits with status 1.
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended the work after its output was finished properly. The message says what was kept."""
