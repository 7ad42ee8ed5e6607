"""``kp_ros overlay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp_ros.commands.arguments import CameraInfo, Input, MaxKeypoints, Model, Rate, Topic, check_output, opened, report
from kp_ros.commands.progress import watch
from kp_ros.commands.reporting import reported

EPILOG = """**Examples**

- `kp_ros overlay drive.mcap -o drive.mp4`

- `kp_ros overlay images/ -o sheet.png --tiles 9`

- `kp_ros overlay images/ -o frame.png --frame 42 --model orb`

What to look for: points on corners and texture, and tails that run side by side. A tail that crosses its neighbours
is a wrong match.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def overlay(
        source: Input,
        output: Annotated[
            Path,
            typer.Option(
                "--output", "-o", metavar="OUT", help="The video (.mp4, or .webm for browsers) or picture (.png, .jpg)."
            ),
        ],
        frame: Annotated[
            int | None, typer.Option(help="Of a picture: this frame only, from 0.", min=0, show_default=False)
        ] = None,
        tiles: Annotated[int, typer.Option(help="Of a picture: how many frames it shows.", min=1, max=64)] = 6,
        tail: Annotated[int, typer.Option(help="Frames that a tail reaches back.", min=1, max=1000)] = 15,
        speed: Annotated[float, typer.Option(help="Of a video: times as fast as recorded.", min=0.01)] = 1.0,
        topic: Topic = None,
        camera_info: CameraInfo = None,
        model: Model = None,
        max_keypoints: MaxKeypoints = 1024,
        rate: Rate = 30.0,
    ) -> None:
        """Keypoints and the tails of their tracks, drawn on the images.

        The colour of a point is its age, from blue (new) to orange (followed for 60 frames and more); its tail shows
        where it was in the frames before.

        Ctrl-C finishes the video with the frames done so far.
        """
        from kp_ros.detectors import load_detector
        from kp_ros.frontend import Frontend
        from kp_ros.offline.overlay import measured_rate, overlay_sheet, overlay_video
        from kp_ros.tracking import load_tracker

        check_output(source, output, (".mp4", ".webm", ".png", ".jpg"))
        with opened(source, topic, camera_info, rate) as recording:
            detector = load_detector(model, backend="auto", max_keypoints=max_keypoints)
            frontend = Frontend(detector, load_tracker(max_tracks=max_keypoints))
            title, bar = detector.info.name, watch(detector.info.name, recording.frame_count)
            if output.suffix.lower() in (".mp4", ".webm"):
                video_rate = measured_rate(recording) * speed
                summary = overlay_video(recording, frontend, output, rate=video_rate, tail=tail, title=title, watch=bar)
            else:
                summary = overlay_sheet(
                    recording, frontend, output, frame=frame, tiles=tiles, tail=tail, title=title, watch=bar
                )
        report(summary, "tracks")
