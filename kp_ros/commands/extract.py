"""``kp_ros extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp_ros.commands.arguments import CameraInfo, Input, MaxKeypoints, Model, Rate, Topic, check_output, opened, report
from kp_ros.commands.progress import watch
from kp_ros.commands.reporting import reported

EPILOG = """**Examples**

- `kp_ros extract images/ -o features.npz`

- `kp_ros extract drive.mcap -o tracks.npz --track`

- `kp_ros extract images/ -o sift.npz --model sift --max-keypoints 2048`

The keypoints of frame i, in Python:

- `z = numpy.load("features.npz"); a, b = z["offsets"][i:i+2]; z["keypoints"][a:b]`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def extract(
        source: Input,
        output: Annotated[Path, typer.Option("--output", "-o", metavar="FEATURES.npz", help="The file to write.")],
        track: Annotated[
            bool, typer.Option("--track", help="The tracker's points, with track_id, instead of the detector's own.")
        ] = False,
        topic: Topic = None,
        camera_info: CameraInfo = None,
        model: Model = None,
        max_keypoints: MaxKeypoints = 1024,
        rate: Rate = 30.0,
    ) -> None:
        """Keypoints and descriptors of every frame to one .npz file, for evaluation and training.

        It holds names [F], stamps int64 [F] (nanoseconds), offsets int64 [F+1], keypoints float32 [N,2] (pixels, the
        top-left pixel's centre is 0,0), scores float32 [N], descriptors [N,D] (float32, or uint8 of packed bits), and
        with --track track_id int64 [N]. Frame i has the rows offsets[i] to offsets[i+1].

        Ctrl-C finishes the file with the frames done so far.
        """
        from kp_ros.detectors import load_detector
        from kp_ros.offline.extract import extract as extract_offline
        from kp_ros.tracking import load_tracker

        check_output(source, output, (".npz",))
        with opened(source, topic, camera_info, rate) as recording:
            detector = load_detector(model, backend="auto", max_keypoints=max_keypoints)
            summary = extract_offline(
                recording,
                detector,
                output,
                tracker=load_tracker(max_tracks=max_keypoints) if track else None,
                watch=watch(detector.info.name, recording.frame_count),
            )
        report(summary, "tracks" if track else "keypoints")
