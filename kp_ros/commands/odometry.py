"""``kp_ros odometry``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kp_ros.commands.arguments import CameraInfo, MaxKeypoints, Model, Rate, Topic, check_output
from kp_ros.commands.progress import watch
from kp_ros.commands.reporting import reported, say
from kp_ros.errors import Interrupted, UserError

if TYPE_CHECKING:
    from kp_ros.odometry.base import Mode
    from kp_ros.offline.odometry import OdometrySummary
    from kp_ros.recordings.sensor_folder import Matrix
    from kp_ros.recordings.sensor_recording import SensorFrame
    from kp_ros.trajectories import TrajectoryError

EPILOG = """**Examples**

- `kp_ros odometry drive.mcap --mode rgbd -o drive.tum`

- `kp_ros odometry dataset/sequences/06 --mode stereo -o 06.tum --plot 06.png`

- `kp_ros odometry icl_kt3 --mode rgbd -o kt3.tum --truth icl_kt3/poses_tum.txt --states kt3.csv`

- `kp_ros odometry drive/ --mode stereo --topic /left/image_rect --right /right/image_rect -o drive.tum`

Then: `evo_traj tum drive.tum --plot`, or `evo_ape tum truth.tum drive.tum --align`.
"""


class Choice(str, Enum):
    """The values of :class:`kp_ros.odometry.Mode`, without what that imports: ``--help`` is to be quick."""

    MONO = "mono"
    STEREO = "stereo"
    RGBD = "rgbd"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(epilog=EPILOG)
    @reported
    def odometry(
        source: Annotated[
            Path,
            typer.Argument(
                metavar="INPUT",
                help="A bag (ROS 2 or ROS 1), a folder of images/ with calib.json (and images_right/ or depth/), or a "
                "sequence of KITTI odometry or EuRoC.",
                show_default=False,
            ),
        ],
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="TRAJ.tum", help="The trajectory to write, in TUM's format.")
        ],
        mode: Annotated[
            Choice | None,
            typer.Option(help="What tells depth.  [default: the most that INPUT has]", show_default=False),
        ] = None,
        truth: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="The true trajectory (TUM), to compare with.", show_default=False),
        ] = None,
        plot: Annotated[
            Path | None,
            typer.Option(metavar="FILE.png", help="Draw the way, and its error over time.", show_default=False),
        ] = None,
        states: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE.csv",
                help="Write every frame's state, covariance and health (.csv or .json).",
                show_default=False,
            ),
        ] = None,
        topic: Topic = None,
        right: Annotated[
            str | None,
            typer.Option(metavar="TOPIC", help="Of a bag: the right camera's images.", show_default=False),
        ] = None,
        depth: Annotated[
            str | None,
            typer.Option(metavar="TOPIC", help="Of a bag: the depth images.", show_default=False),
        ] = None,
        camera_info: CameraInfo = None,
        rectified: Annotated[
            bool, typer.Option("--rectified", help="The images are rectified: P of CameraInfo describes them.")
        ] = False,
        tolerance: Annotated[
            float, typer.Option(metavar="MS", min=0.0, help="The most that stamps of a bag's pair differ.")
        ] = 20.0,
        depth_camera: Annotated[
            str | None,
            typer.Option(
                metavar="FX,FY,CX,CY",
                help="Of a folder: the depth camera's own calibration, where depth is not registered with the images.",
                show_default=False,
            ),
        ] = None,
        model: Model = None,
        max_keypoints: MaxKeypoints = 1024,
        threads: Annotated[
            int, typer.Option(metavar="N", min=0, help="Of the detector; 0 is its backend's choice.")
        ] = 0,
        rate: Rate = 30.0,
    ) -> None:
        """How the camera moved: a trajectory, and for every frame whether it can be trusted.

        The same numbers as the live node's: poses of the camera's optical frame (x right, y down, z forward) in the
        first image's, metres; with one camera alone, in a unit of its own. Good and weak poses are written, stamped as
        the input is: by a bag's headers, the first column of poses_tum.txt, or the files' names. Frames that were lost
        are left out; --states has them all.

        Ctrl-C keeps the trajectory of the frames done so far.
        """
        from kp_ros.detectors import load_detector
        from kp_ros.frontend import Frontend
        from kp_ros.odometry import Mode, make_odometry
        from kp_ros.offline.odometry import estimate_poses, write_states, write_trajectory
        from kp_ros.recordings.sensor_opening import SensorOptions, open_sensors
        from kp_ros.tracking import load_tracker
        from kp_ros.trajectories import read_tum

        check_output(source, output, (".tum", ".txt"))
        if states is not None:
            check_output(source, states, (".csv", ".json"))
        if plot is not None:
            check_output(source, plot, (".png", ".pdf", ".svg"))
        if right is not None and depth is not None:
            raise UserError("--right and --depth are of two modes; give the one that --mode needs")
        true = None if truth is None else read_tum(truth)
        options = SensorOptions(
            topic=topic,
            second=right or depth,
            camera_info=camera_info,
            rectified=rectified,
            tolerance_ns=round(tolerance * 1e6),
            rate=rate,
            depth_camera=_camera_matrix(depth_camera),
        )
        asked = mode or (Choice.STEREO if right else Choice.RGBD if depth else None)
        chosen = None if asked is None else Mode(asked.value)
        recording = open_sensors(source, chosen, options)
        try:
            actual = chosen or _mode_of(next(recording.frames(), None))
            detector = load_detector(model, backend="auto", max_keypoints=max_keypoints, threads=threads or None)
            estimator = make_odometry(actual)
            try:
                frontend = Frontend(detector, load_tracker(max_tracks=max_keypoints))
                bar = watch(f"{detector.info.name}, {actual.value}", recording.frame_count)
                summary = estimate_poses(recording, frontend, estimator, bar)
            finally:
                estimator.close()
                detector.close()
        finally:
            recording.close()
        write_trajectory(output, summary.frames)
        if states is not None:
            write_states(states, summary.frames)
        error = None if true is None else summary.error(true, scale=actual is Mode.MONO)
        if plot is not None:
            from kp_ros.offline.trajectory_plot import plot_trajectory

            plot_trajectory(plot, summary, error, f"{source.name}: {detector.info.name}, {actual.value}")
        for notice in summary.notices:
            say(f"note: {notice}", "yellow")
        if true is not None and error is None:
            say(f"note: fewer than three poses have a stamp of {truth}: nothing to compare", "yellow")
        _tell(summary, error, actual, detector.info.name)
        if summary.interrupted:
            raise Interrupted(f"{output} holds the first {len(summary.frames)} frames")
        say(f"wrote {output}: {len(summary.posed)} poses", "green")


def _camera_matrix(text: str | None) -> Matrix | None:
    import numpy as np

    if text is None:
        return None
    try:
        fx, fy, cx, cy = (float(value) for value in text.split(","))
    except ValueError:
        raise UserError(f"--depth-camera '{text}' is not FX,FY,CX,CY: four numbers with commas, in pixels") from None
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def _mode_of(frame: SensorFrame | None) -> Mode:
    """What a recording was opened as, by its first frame."""
    from kp_ros.odometry import Mode

    if frame is not None and frame.depth is not None:
        return Mode.RGBD
    return Mode.STEREO if frame is not None and frame.right is not None else Mode.MONO


def _tell(summary: OdometrySummary, error: TrajectoryError | None, mode: Mode, model: str) -> None:
    """The figures as a table, on standard output."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from kp_ros.odometry import Mode, State

    table = Table(title=f"{model}, {mode.value}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    count, states = len(summary.frames), summary.states
    table.add_row("frames", str(count), f"{count / summary.seconds:.1f} a second")
    for state in State:
        if states[state] or state is not State.INITIALISING:
            table.add_row(state.value, str(states[state]), f"{states[state] / count:.1%} of the frames")
    table.add_row("segments", str(summary.segments), "parts whose poses belong together")
    if error is not None:
        aligned = "aligned with the truth" + (", scale too, segment by segment" if mode is Mode.MONO else "")
        table.add_row("ATE", f"{error.ate * 1e3:.1f} mm", f"root mean square, {aligned}")
        table.add_row("RPE", f"{error.rpe_translation * 1e3:.2f} mm", "root mean square, from pose to pose")
        table.add_row("RPE", f"{error.rpe_rotation:.4f} deg", "")
    for stage in ("detect", "track", "odometry"):
        times = [frame.seconds[stage] * 1e3 for frame in summary.frames]
        table.add_row(stage, f"{np.median(times):.1f} ms", "median")
    Console().print(table)
