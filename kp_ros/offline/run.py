"""The frontend over a recording, bag to bag: what the live node would publish for every frame."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from kp_ros.frontend import Frontend
from kp_ros.interruption import Interruption
from kp_ros.model_description import describe_model
from kp_ros.offline.watching import Summary, Watch, unwatched
from kp_ros.point_cloud import PointCloud, pack_features, pack_keypoints, pack_tracks
from kp_ros.recordings import messages
from kp_ros.recordings.decoding import Decoding
from kp_ros.recordings.mcap_writer import McapWriter
from kp_ros.recordings.recording import Recording, RecordingError

STRING = "std_msgs/msg/String"
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"


def run(
    recording: Recording,
    frontend: Frontend,
    output: Path,
    *,
    node: str = "/keypoint_node",
    keep_images: bool = False,
    rectified: bool = False,
    watch: Watch = unwatched,
) -> Summary:
    """Write ``~/model``, and ``~/keypoints``, ``~/tracks`` and ``~/features`` of every frame, to an MCAP file.

    :param node: what ``~`` stands for.
    :param keep_images: copy the images and their CameraInfo too, so that a viewer shows points on pictures.
    :param rectified: the images are rectified: P of their CameraInfo describes them.
    :param watch: wraps the frames, e.g. in a progress bar.
    :raises RecordingError: no frame can be decoded.
    :raises OutputError: the output cannot be written; then nothing stays of it.
    """
    started, frames, points = time.perf_counter(), 0, 0
    decoding = Decoding(recording, rectified)
    with Interruption() as interruption, McapWriter(output) as bag:
        for decoded in watch(decoding.frames()):
            frame, camera = decoded.frame, decoded.camera
            stamp_ns, frame_id = messages.stamp_of(frame.message), frame.message.header.frame_id
            result = frontend.process(decoded.image, stamp_ns, camera)
            clouds = {
                "keypoints": pack_keypoints(result.features, camera, stamp_ns, frame_id),
                "tracks": pack_tracks(result.tracks, camera, stamp_ns, frame_id),
                "features": pack_features(result.tracks, camera, stamp_ns, frame_id),
            }
            if not frames:
                bag.add_topic(f"{node}/model", STRING, latched=True)
                description = describe_model(frontend.detector.info)
                bag.write(f"{node}/model", messages.make(STRING, data=description), frame.recorded_ns)
            if keep_images:
                bag.write(recording.topic, frame.message, frame.recorded_ns)
                if frame.camera_info is not None:
                    bag.write(recording.camera_info_topic, frame.camera_info, frame.recorded_ns)
            for name, cloud in clouds.items():
                bag.write(f"{node}/{name}", cloud_message(cloud), frame.recorded_ns)
            frames, points = frames + 1, points + len(result.tracks)
            if interruption.requested:
                break
        if not frames:
            raise RecordingError(f"no frame of {recording.path} can be used; {'; '.join(decoding.notices)}")
    seconds = time.perf_counter() - started
    return Summary(output, frames, points, seconds, interruption.requested, decoding.notices)


def cloud_message(cloud: PointCloud) -> Any:
    """A packed cloud as rosbags' sensor_msgs/PointCloud2."""
    fields = [
        messages.make(
            "sensor_msgs/msg/PointField",
            name=field.name,
            offset=field.offset,
            datatype=field.datatype,
            count=field.count,
        )
        for field in cloud.fields
    ]
    return messages.make(
        POINT_CLOUD,
        header=messages.header(cloud.stamp_ns, cloud.frame_id),
        height=cloud.height,
        width=cloud.width,
        fields=fields,
        is_bigendian=cloud.is_bigendian,
        point_step=cloud.point_step,
        row_step=cloud.row_step,
        data=cloud.data,
        is_dense=cloud.is_dense,
    )
