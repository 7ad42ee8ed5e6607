"""From a path to what odometry reads, whatever it is stored as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kp_ros.odometry.base import Mode
from kp_ros.recordings.bag_messages import is_bag
from kp_ros.recordings.euroc_layout import is_euroc, read_euroc
from kp_ros.recordings.kitti_layout import is_kitti, read_kitti
from kp_ros.recordings.recording import RecordingError
from kp_ros.recordings.sensor_bag import SensorBag
from kp_ros.recordings.sensor_folder import Matrix
from kp_ros.recordings.sensor_recording import SensorRecording
from kp_ros.recordings.shared_layout import is_shared_layout, read_shared_layout


@dataclass(frozen=True)
class SensorOptions:
    """How to read it, where it does not tell by itself.

    :ivar topic: of a bag's (left) images.
    :ivar second: of a bag's right or depth images.
    :ivar camera_info: of a bag's calibration.
    :ivar rectified: the images of a bag are rectified: CameraInfo's P describes them.
    :ivar tolerance_ns: the most that the stamps of a pair of a bag's images differ, nanoseconds.
    :ivar rate: images a second, of folders that do not tell.
    :ivar depth_camera: float64 [3, 3], K of a folder's depth camera that is not registered with the images.
    """

    topic: str | None = None
    second: str | None = None
    camera_info: str | None = None
    rectified: bool = False
    tolerance_ns: int = 20_000_000
    rate: float = 30.0
    depth_camera: Matrix | None = None


def open_sensors(path: Path, mode: Mode | None, options: SensorOptions | None = None) -> SensorRecording:
    """Open a bag, or a folder in the layout of this project, of KITTI odometry or of EuRoC.

    :param mode: what is read; None takes the most that is there.
    :raises RecordingError: it cannot be read, or lacks what the mode needs.
    """
    asked = options or SensorOptions()
    if not path.exists():
        raise RecordingError(f"{path} does not exist; give a bag (.mcap, .db3, .bag, folder) or a folder of images")
    try:
        if is_bag(path):
            return SensorBag(
                path,
                mode,
                topic=asked.topic,
                second=asked.second,
                camera_info=asked.camera_info,
                rectified=asked.rectified,
                tolerance_ns=asked.tolerance_ns,
            )
        if is_kitti(path):
            return read_kitti(path, mode)
        if is_euroc(path):
            return read_euroc(path, mode)
        if is_shared_layout(path):
            return read_shared_layout(path, mode, asked.rate, asked.depth_camera)
    except PermissionError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}; give yourself the right to read it") from error
    raise RecordingError(
        f"{path} is neither a bag nor a folder that odometry can read: it needs a calibration, as calib.json beside "
        "images/, KITTI's calib.txt and times.txt, or EuRoC's mav0"
    )
