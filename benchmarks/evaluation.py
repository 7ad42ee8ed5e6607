"""How long an evaluation takes, first with an empty cache, then again: the figures of docs/evaluation.md.

    python benchmarks/evaluation.py --data ../shared/data --output /tmp/evaluation

Runs `python -m training evaluate` twice as a user does. Table and page stay in the output folder (the page shows images
of the data: see their licences before it goes anywhere); the seconds go to benchmarks/results/evaluation.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
RESULT = CHECKOUT / "benchmarks" / "results" / "evaluation.json"


def seconds(command: list[str]) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=CHECKOUT, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["models/kp_base.onnx", "orb", "sift", "klt"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "training", "evaluate", *arguments.models]
        command += ["--data", str(arguments.data.resolve()), "--output", str(arguments.output.resolve())]
        command += ["--cache", cache]
        load = os.getloadavg()[0]
        first, again = seconds(command), seconds(command)
        size = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
    measured = {
        "command": shlex.join(["python", *command[1:-6]]),
        "first_run_s": round(first, 1),
        "second_run_s": round(again, 1),
        "cache_megabytes": round(size / 1e6),
        "load_before": load,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
