"""What the recording of these tests shows."""

from __future__ import annotations

import numpy as np

FRAMES, PERIOD_NS, START_NS = 10, 33_333_333, 1_700_000_000_000_000_000
#: How far the picture moves from frame to frame, pixels.
MOTION = np.array([-3.0, -1.0])
