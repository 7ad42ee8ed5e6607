import subprocess
import sys

import pytest

from kp_ros.detectors.model_file import find_model, read_model
from kp_ros.detectors.openvino import OpenVinoBackend, precisions

INTERRUPTED = """
import signal
import numpy as np
from kp_ros.detectors import load_detector
detector = load_detector(backend="openvino", max_keypoints=50)
detector(np.zeros((64, 96), np.uint8))
detector.close()
del detector
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_after_a_detector_is_closed_is_an_interruption_and_no_crash() -> None:
    if OpenVinoBackend().missing:
        pytest.skip(OpenVinoBackend().missing)
    # A shell's background job ignores SIGINT, and its children with it.
    default = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    run = subprocess.run([sys.executable, "-c", default + INTERRUPTED], capture_output=True, text=True, timeout=200)
    assert (run.returncode, run.stdout) == (0, "interrupted\n"), run.stderr


def test_the_precision_is_read_from_the_compiled_layers() -> None:
    if OpenVinoBackend().missing:
        pytest.skip(OpenVinoBackend().missing)
    model = read_model(find_model(None))
    assert precisions()[0] == "fp32"
    for precision in precisions():
        assert OpenVinoBackend(1, precision).build(model, 64, 96, 50).precision == precision
