"""``kp_ros run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kp_ros.commands.arguments import CameraInfo, Input, MaxKeypoints, Model, Rate, Topic, check_output, opened, report
from kp_ros.commands.progress import watch
from kp_ros.commands.reporting import reported

EPILOG = """**Examples**

- `kp_ros run drive.mcap -o keypoints.mcap`

- `kp_ros run drive/ -o keypoints.mcap --topic /left/image_raw --images`

- `kp_ros run images/ -o keypoints.mcap --model orb --max-keypoints 500`

Then look at it: `ros2 bag info keypoints.mcap`, `ros2 bag play keypoints.mcap`, or Foxglove.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def run(
        source: Input,
        output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.mcap", help="The bag to write.")],
        topic: Topic = None,
        camera_info: CameraInfo = None,
        model: Model = None,
        max_keypoints: MaxKeypoints = 1024,
        node: Annotated[str, typer.Option(help="The node's name in the topics written.")] = "/keypoint_node",
        images: Annotated[bool, typer.Option("--images", help="Copy the images and CameraInfo too.")] = False,
        rectified: Annotated[
            bool, typer.Option("--rectified", help="The images are rectified: P of CameraInfo describes them.")
        ] = False,
        rate: Rate = 30.0,
    ) -> None:
        """Bag in, keypoints and tracks out, without ROS.

        Every frame goes through the same frontend as in the live node, none is dropped, and what is written for a frame
        is byte for byte what the node publishes: NODE/keypoints, NODE/tracks and NODE/features as PointCloud2, and
        NODE/model.

        Ctrl-C finishes the bag with the frames done so far.
        """
        from kp_ros.detectors import load_detector
        from kp_ros.frontend import Frontend
        from kp_ros.offline.run import run as run_offline
        from kp_ros.tracking import load_tracker

        check_output(source, output, (".mcap",))
        with opened(source, topic, camera_info, rate) as recording:
            detector = load_detector(model, backend="auto", max_keypoints=max_keypoints)
            frontend = Frontend(detector, load_tracker(max_tracks=max_keypoints))
            summary = run_offline(
                recording,
                frontend,
                output,
                node=node,
                keep_images=images,
                rectified=rectified,
                watch=watch(detector.info.name, recording.frame_count),
            )
        report(summary, "tracks")
