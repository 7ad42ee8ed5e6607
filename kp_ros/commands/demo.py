"""``kp_ros demo``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kp_ros.commands.progress import progress_bar
from kp_ros.commands.reporting import console, reported, say
from kp_ros.errors import Interrupted, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kp_ros.recordings.recording import Recording
    from kp_ros.ros.live_run import LiveRun
    from kp_ros.simulation.drive_bag import Drive
    from kp_ros.simulation.truth import TrackLengths

    Image = NDArray[np.uint8]
    Poses = NDArray[np.float64]

EPILOG = """**Examples**

- `kp_ros demo`

- `kp_ros demo --seconds 20 --seed 7 --output town7`

- `kp_ros demo --model orb`

- `kp_ros demo --photographs ~/Pictures`

Afterwards: `kp_ros overlay demo_output/drive.mcap -o again.mp4`, or open drive.mcap in Foxglove.
"""

#: Frames of the picture.
TILES = 4
#: Share of dropped images above which there is a remark.
MOST_DROPS = 0.01


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def demo(
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="DIR", help="The folder for what it makes.")
        ] = Path("demo_output"),
        seconds: Annotated[float, typer.Option(help="How long to drive.", min=1.0, max=120.0)] = 10.0,
        seed: Annotated[int, typer.Option(help="Another number, another town.", min=0)] = 1,
        model: Annotated[
            str | None,
            typer.Option(
                "--model",
                "-m",
                metavar="MODEL",
                help="An exported .onnx file, a shipped model's name, or orb, sift or gftt.  [default: kp_base]",
                show_default=False,
            ),
        ] = None,
        rate: Annotated[
            float, typer.Option("--rate", "-r", help="Times as fast as real time, for a slow machine.", min=0.05)
        ] = 1.0,
        photographs: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                help="Hang these photographs in the town.  [default: our own]",
                show_default=False,
                exists=True,
                file_okay=False,
            ),
        ] = None,
    ) -> None:
        """The whole way, with no robot: a drive through a rendered town, tracked by the live node.

        The town is textured with photographs and known exactly. Its images, with depth, are recorded as a bag and
        replayed in real time over DDS to the real node in a process of its own. You get drive.mcap, overlay.mp4,
        overlay.png, way.png and node.log, and the figures: rate, dropped frames, latency, how long tracks live and stay
        true, and how far the way that the node tells is from the true one.

        Needs ROS 2: a distribution that is sourced, or pip install "kp_ros[ros]". No GPU and no network.
        """
        try:
            from kp_ros.ros.live_run import run_live
        except ImportError as error:
            raise UserError(
                f"the demonstration needs ROS 2, and it is not here ({error}); source a distribution "
                "(source /opt/ros/jazzy/setup.bash), or pip install 'kp_ros[ros]'"
            ) from error
        from kp_ros.detectors import load_detector
        from kp_ros.recordings.opening import open_recording
        from kp_ros.simulation import drive, load_textures, street
        from kp_ros.simulation.drive_bag import DEPTH_TOPIC, IMAGE_TOPIC, Drive, demo_camera

        # Before anything that takes time: a model that cannot be used.
        detector = load_detector(model)
        title = f"{detector.info.name} ({detector.info.backend}, {detector.info.precision})"
        detector.close()
        bag = output / "drive.mcap"
        trajectory = drive(seconds=seconds)
        with console.status("building a town"):
            textures = load_textures(photographs.absolute() if photographs else None)
            scene = Drive(street(trajectory, seed, textures), demo_camera(), trajectory)
        _record(scene, bag)
        recording = open_recording(bag, topic=IMAGE_TOPIC, companions=(DEPTH_TOPIC,))
        try:
            parameters = {"model": model} if model else {}
            with progress_bar() as bar:
                task = bar.add_task("live node", total=len(trajectory))
                run, summary = run_live(
                    recording,
                    trajectory.stamps_ns,
                    parameters,
                    output / "node.log",
                    lambda frames: bar.update(task, completed=frames),
                    rate,
                    DEPTH_TOPIC,
                )
            if summary.interrupted:
                raise Interrupted(f"{bag} is whole")
            if not run.answers:
                raise UserError(f"the node answered none of {len(run.sent)} images; see {output / 'node.log'}")
            lengths = _judge(scene, run)
            way = _compare(scene, run)
            _draw(recording, run, output, title)
        finally:
            recording.close()
        if way is not None:
            _draw_way(way, output, title)
        _tell(run, lengths, way, title)
        if run.dropped > MOST_DROPS * len(run.sent):
            say("note: this machine is too slow or too busy for every image: try a lower --rate", "yellow")
        if summary.late_seconds > 0.1:
            say(f"note: images were sent up to {summary.late_seconds:.1f} s late: this machine is busy", "yellow")
        for name, what in (
            ("overlay.mp4", "the drive with its tracks"),
            ("overlay.png", "four moments of it"),
            ("way.png", "the way that the node tells, and the true one"),
            ("drive.mcap", "images, depth, calibration and true motion; opens in Foxglove"),
        ):
            if way is None and name == "way.png":
                continue
            say(f"{output / name}  {what}", "green")


def _record(scene: Drive, bag: Path) -> None:
    from kp_ros.simulation.drive_bag import record

    frames = record(scene, bag)
    with progress_bar() as bar:
        for _ in bar.track(frames, total=len(scene.trajectory), description="rendering"):
            pass


def _judge(scene: Drive, run: LiveRun) -> TrackLengths:
    """Compare every track with the truth."""
    import numpy as np

    from kp_ros.simulation import render_depth
    from kp_ros.simulation.truth import TrackJudge

    judge = TrackJudge(scene.camera)
    poses = dict(zip(scene.trajectory.stamps_ns.tolist(), scene.trajectory.poses, strict=True))
    with progress_bar() as bar:
        for stamp in bar.track(sorted(run.answers), description="comparing with the truth"):
            tracks = run.answers[stamp].tracks
            keypoints = np.stack([tracks["u"], tracks["v"]], 1)
            depth = render_depth(scene.world, scene.camera, poses[stamp])
            judge.update(tracks["track_id"], keypoints, depth, poses[stamp])
    return judge.lengths()


@dataclass(frozen=True, eq=False)
class Way:
    """Where the node says that the robot was, and where it was, in odom.

    :ivar estimate: float64 [N, 4, 4], of the images with a pose, metres.
    :ivar truth: float64 [N, 4, 4].
    :ivar length: of the true way, metres.
    :ivar ate: root mean square of the distances between the two after alignment, metres.
    :ivar end: distance between their ends when they begin together, metres.
    """

    estimate: Poses
    truth: Poses
    length: float
    ate: float
    end: float


def _compare(scene: Drive, run: LiveRun) -> Way | None:
    """The node's poses beside the true ones; None where there are too few."""
    import numpy as np

    from kp_ros.mounting import mounted
    from kp_ros.trajectories import StampedPoses, trajectory_error

    true = dict(zip(scene.trajectory.stamps_ns.tolist(), scene.trajectory.poses, strict=True))
    stamps = [stamp for stamp in sorted(run.poses) if stamp in true and run.states.get(stamp) in ("good", "weak")]
    if len(stamps) < 3:
        return None
    # The node's own default: the base is where the camera is, and looks where it looks.
    base_from_camera = mounted(0, 0, 0, 0, 0, 0)
    world_from_odom = true[stamps[0]] @ np.linalg.inv(base_from_camera)
    truth = np.array(
        [np.linalg.inv(world_from_odom) @ true[stamp] @ np.linalg.inv(base_from_camera) for stamp in stamps]
    )
    estimate = np.array([run.poses[stamp].pose for stamp in stamps])
    # It begins where the node has its first pose, which is not the identity when its first image was dropped.
    estimate = np.linalg.inv(estimate[0]) @ estimate
    times = (np.array(stamps) - stamps[0]) * 1e-9
    error = trajectory_error(StampedPoses(times, estimate), StampedPoses(times, truth))
    assert error is not None
    places = truth[:, :3, 3]
    length = float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
    return Way(estimate, truth, length, error.ate, float(np.linalg.norm(estimate[-1, :3, 3] - places[-1])))


def _draw_way(way: Way, output: Path, title: str) -> None:
    """Both ways from above."""
    import cv2

    from kp_ros.offline.way_picture import draw_way
    from kp_ros.recordings.output import OutputFile

    text = f"{title.partition(' ')[0]}, RGB-D, live: {way.length:.1f} m driven, ATE {way.ate * 100:.1f} cm"
    picture = draw_way(way.truth[:, :2, 3], way.estimate[:, :2, 3], text)
    with OutputFile(output / "way.png") as temporary:
        temporary.write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def _draw(recording: Recording, run: LiveRun, output: Path, title: str) -> None:
    """The overlay as a video, and a few of its frames as a picture."""
    import cv2

    from kp_ros.offline.overlay import VideoFile, measured_rate, sheet
    from kp_ros.recordings.output import OutputFile

    count = len(run.answers)
    wanted = {(part + 1) * count // (TILES + 1) for part in range(TILES)}
    tiles = []
    with progress_bar() as bar, VideoFile(output / "overlay.mp4", measured_rate(recording)) as video:
        pictures = _pictures(recording, run, title)
        for index, picture in enumerate(bar.track(pictures, total=count, description="drawing")):
            video.write(picture)
            if index in wanted:
                tiles.append(picture)
    with OutputFile(output / "overlay.png") as temporary:
        temporary.write_bytes(cv2.imencode(".png", sheet(tiles))[1].tobytes())


def _pictures(recording: Recording, run: LiveRun, title: str) -> Iterator[Image]:
    """Every image that the node answered, with the tracks that it published for it."""
    import numpy as np

    from kp_ros.drawing import TrackTails, draw_tracks
    from kp_ros.features import Tracks
    from kp_ros.recordings.decoding import decode
    from kp_ros.recordings.messages import stamp_of

    tails = TrackTails(20)
    for frame in recording.frames():
        answer = run.answers.get(stamp_of(frame.message))
        if answer is None:
            continue
        points = answer.tracks
        tracks = Tracks(
            points["track_id"],
            points["age"],
            np.stack([points["u"], points["v"]], 1),
            np.stack([points["vx"], points["vy"]], 1),
            points["score"],
            np.zeros((len(points), 0), np.float32),
        )
        tails.update(tracks)
        yield draw_tracks(decode(frame.message), tracks, tails, scale=2, title=title)


def _tell(run: LiveRun, lengths: TrackLengths, way: Way | None, title: str) -> None:
    """The figures as a table, on standard output."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    sent, answered = sorted(run.sent.values()), len(run.answers)
    p50, p95 = np.percentile(run.latencies, [50, 95])
    table = Table(title=f"{title}, live over DDS", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")

    def row(name: str, value: str, meaning: str) -> None:
        table.add_row(name, value, meaning)

    row("images sent", f"{len(sent)}", f"640 x 480, {(len(sent) - 1) / (sent[-1] - sent[0]):.1f} a second")
    row("answers", f"{run.rate:.1f} Hz", "on ~/tracks")
    row("dropped", f"{run.dropped} ({run.dropped / len(sent):.1%})", "images without an answer")
    row("latency p50", f"{p50:.1f} ms", "from the image sent to its tracks received")
    row("latency p95", f"{p95:.1f} ms", "")
    speed = run.diagnostics.get("speed", {})
    if len(run.poses):
        row("pose p50", f"{np.median(run.pose_latencies):.1f} ms", "from the image sent to its pose received")
    for stage in ("detect", "track", "odometry"):
        if f"{stage} p50 (ms)" in speed:
            row(f"{stage} p50", f"{speed[f'{stage} p50 (ms)']} ms", "of that, by the node's own clock")
    row("keypoints", f"{np.mean(list(run.keypoints.values())):.0f}", "an image")
    tracks = np.mean([len(answer.tracks) for answer in run.answers.values()]) if answered else 0
    row("tracks", f"{tracks:.0f}", "an image")
    row("mean track length", f"{lengths.lengths.mean():.1f}", "frames, tracks of 2 frames or more")
    row("of it verified", f"{lengths.verified.mean():.1f}", "frames within 3 pixels of the true place")
    if way is None:
        row("way", "none", "too few images have a pose: see node.log")
    else:
        row("way", f"{way.length:.1f} m", f"driven in the {len(way.truth)} images that have a pose")
        row("its error", f"{way.ate * 100:.2f} cm", "ATE: root mean square after alignment with the true way")
        row("at its end", f"{way.end * 100:.1f} cm", f"{way.end / way.length:.2%} of the way, both begun together")
    Console().print(table)
