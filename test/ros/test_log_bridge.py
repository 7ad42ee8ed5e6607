import logging

from kp_ros.ros.log_bridge import NodeLogHandler


class Logger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def error(self, text: str) -> None:
        self.lines.append(("error", text))


def test_the_packages_log_is_the_nodes_until_it_is_closed() -> None:
    logger = Logger()
    handler = NodeLogHandler(logger)
    source = logging.getLogger("kp_ros.detectors.engine_cache")
    source.info("not %s", "tensorrt")
    source.warning("engine %s is damaged", "x")
    source.error("fire")
    source.debug("nobody asked")
    logging.getLogger("another.package").error("not ours")
    handler.close()
    source.error("too late")
    assert logger.lines == [("info", "not tensorrt"), ("warning", "engine x is damaged"), ("error", "fire")]
