"""The window's work beside the images, taken up at a fixed frame: what comes out does not depend on how fast it was."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from kp_ros.odometry.options import OdometryOptions
from kp_ros.odometry.window import Window, WindowProblem, WindowResult


class BackgroundWindow:
    """A window of one segment that works in a thread of its own."""

    def __init__(self, options: OdometryOptions, executor: ThreadPoolExecutor) -> None:
        self._window = Window(options)
        self._delay = options.window_delay
        self._executor = executor
        self._work: tuple[int, Future[WindowResult | None]] | None = None

    def begin(self, problem: WindowProblem) -> None:
        """Put the first keyframe in; there is nothing to adjust yet."""
        self._window.add(problem)

    def add(self, problem: WindowProblem) -> None:
        """Begin to adjust the window with a further keyframe; the result before must have been taken."""
        assert self._work is None
        self._work = (problem.keyframe.number + self._delay, self._executor.submit(self._window.add, problem))

    def take(self, frame: int) -> WindowResult | None:
        """Give the result that is due at a frame, waiting for it; None where there is none.

        :param frame: its number.
        """
        if self._work is None or frame < self._work[0]:
            return None
        work, self._work = self._work[1], None
        return work.result()
