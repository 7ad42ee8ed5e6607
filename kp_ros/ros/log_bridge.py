"""What the ROS-free part of the program logs, in the node's own log."""

from __future__ import annotations

import logging
from typing import Any

#: Every module of the package logs below this name.
PACKAGE = "kp_ros"


class NodeLogHandler(logging.Handler):
    """Hands log records of :data:`PACKAGE` to a node's logger, from the moment that it is made until it is closed.

    :param logger: of the node.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger
        package = logging.getLogger(PACKAGE)
        if package.level == logging.NOTSET:
            package.setLevel(logging.INFO)
        package.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record under its own severity."""
        text = record.getMessage()
        # rclpy wants each call site to keep one severity: three sites.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)

    def close(self) -> None:
        """Stop listening."""
        logging.getLogger(PACKAGE).removeHandler(self)
        super().close()
