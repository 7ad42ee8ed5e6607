"""Stand-ins of what nodes talk through: they remember what was said."""

from __future__ import annotations

from typing import Any


class Topic:
    """A publisher with a subscriber."""

    def __init__(self, heard: int = 1) -> None:
        self.heard = heard
        self.published: list[Any] = []

    def get_subscription_count(self) -> int:
        return self.heard

    def publish(self, message: Any) -> None:
        self.published.append(message)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, text: str, **_: Any) -> None:
        self.lines.append(text)

    warning = info = error
