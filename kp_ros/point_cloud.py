"""Features and tracks as the bytes of sensor_msgs/PointCloud2, free of ROS.

Everything that decides a byte on the wire is here, so that the live node, which publishes :meth:`PointCloud.to_cdr`,
and the offline tools, which copy a :class:`PointCloud` into their own message class, write the same bytes for a frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kp_ros.camera import Camera
from kp_ros.features import Features, Float32, Tracks

#: NumPy's type of a field -> the ``datatype`` of sensor_msgs/PointField.
POINT_FIELD_DATATYPES = {"u1": 2, "u4": 6, "f4": 7}

_KEYPOINT: list[tuple[str, str]] = [(name, "<f4") for name in ("x", "y", "z", "u", "v", "score")]
_TRACK: list[tuple[str, str]] = [*_KEYPOINT, ("track_id", "<u4"), ("age", "<u4"), ("vx", "<f4"), ("vy", "<f4")]

#: A point of ``~/keypoints``: 24 bytes.
KEYPOINT_DTYPE = np.dtype(_KEYPOINT)
#: A point of ``~/tracks``: 40 bytes.
TRACK_DTYPE = np.dtype(_TRACK)


def feature_dtype(descriptor_size: int, descriptor_dtype: DTypeLike) -> np.dtype[np.void]:
    """Give the layout of a point of ``~/features``: a track and its descriptor, one field with count D.

    :param descriptor_size: D; with 0 there is no descriptor field.
    :param descriptor_dtype: ``float32`` or ``uint8``.
    """
    if descriptor_size == 0:
        return TRACK_DTYPE
    kind = np.dtype(descriptor_dtype).newbyteorder("<")
    return np.dtype([*_TRACK, ("descriptor", kind, (descriptor_size,))])


@dataclass(frozen=True)
class PointField:
    """One sensor_msgs/PointField: name, bytes from the point's start, datatype constant, element count."""

    name: str
    offset: int
    datatype: int
    count: int


@dataclass(frozen=True)
class PointCloud:
    """The values of one sensor_msgs/PointCloud2; height is 1, ``row_step`` the length of ``data``, little endian.

    :ivar stamp_ns: the image's stamp, nanoseconds since the epoch.
    :ivar frame_id: the image's: the camera's optical frame.
    :ivar points: structured array [N], one record a point.
    :ivar is_dense: every ray is finite.
    """

    stamp_ns: int
    frame_id: str
    points: NDArray[np.void]
    is_dense: bool

    #: sensor_msgs/PointCloud2.height: the points have no order in the image.
    height = 1
    #: sensor_msgs/PointCloud2.is_bigendian.
    is_bigendian = False

    @property
    def width(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def point_step(self) -> int:
        """Bytes a point."""
        return self.points.dtype.itemsize

    @property
    def row_step(self) -> int:
        """Bytes in all."""
        return self.points.nbytes

    @property
    def fields(self) -> tuple[PointField, ...]:
        """The layout of a point, in order."""
        return point_fields(self.points.dtype)

    @property
    def data(self) -> NDArray[np.uint8]:
        """uint8 [width x point_step], a view of the points."""
        return self.points.view(np.uint8)

    def to_cdr(self) -> bytes:
        """Serialise to sensor_msgs/PointCloud2 as DDS has it on the wire (OMG CDR, little endian, zeros for padding).

        ROS's own serialisation leaves what happens to be in memory between the fields, so that two messages of equal
        content differ; it is also slower, for it copies the points once more.
        """
        seconds, nanoseconds = divmod(self.stamp_ns, 1_000_000_000)
        head = _Cdr()
        head.put("iI", seconds, nanoseconds)
        head.put_string(self.frame_id)
        head.put("II", self.height, self.width)
        head.buffer += _fields_cdr(self.points.dtype)
        head.put("?III", self.is_bigendian, self.point_step, self.row_step, self.row_step)
        return b"".join([bytes(head.buffer), self.data.data, struct.pack("?", self.is_dense)])


def point_fields(dtype: np.dtype[np.void]) -> tuple[PointField, ...]:
    """Describe a structured type as sensor_msgs/PointField."""
    assert dtype.fields is not None and dtype.names is not None
    fields = []
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        fields.append(PointField(name, offset, POINT_FIELD_DATATYPES[kind.base.str[1:]], int(np.prod(kind.shape))))
    return tuple(fields)


class _Cdr:
    """Appends values at the alignment that CDR gives them: multiples of their size, counted after the first 4 bytes."""

    def __init__(self) -> None:
        self.buffer = bytearray(b"\x00\x01\x00\x00")

    def put(self, formats: str, *values: int) -> None:
        """Append numbers by the letters of :mod:`struct`."""
        for letter, value in zip(formats, values, strict=True):
            self.buffer += bytes(-len(self.buffer) % struct.calcsize(letter))
            self.buffer += struct.pack("<" + letter, value)

    def put_string(self, text: str) -> None:
        """Append a string: its length with the closing zero, and both."""
        encoded = text.encode() + b"\0"
        self.put("I", len(encoded))
        self.buffer += encoded


@cache
def _fields_cdr(dtype: np.dtype[np.void]) -> bytes:
    """The sequence of fields; it begins at a multiple of four bytes, whatever comes before it."""
    fields = point_fields(dtype)
    part = _Cdr()
    part.put("I", len(fields))
    for one in fields:
        part.put_string(one.name)
        part.put("IBI", one.offset, one.datatype, one.count)
    return bytes(part.buffer[4:])


def pack_keypoints(features: Features, camera: Camera | None, stamp_ns: int, frame_id: str) -> PointCloud:
    """Pack a detector's points for ``~/keypoints``.

    :param camera: gives the rays ``x y z``; without one they are NaN.
    """
    points = np.empty(len(features), KEYPOINT_DTYPE)
    is_dense = _write_keypoints(points, features.keypoints, features.scores, camera)
    return PointCloud(stamp_ns, frame_id, points, is_dense)


def pack_features(tracks: Tracks, camera: Camera | None, stamp_ns: int, frame_id: str) -> PointCloud:
    """Pack a tracker's points with their descriptors for ``~/features``.

    :param camera: gives the rays ``x y z``; without one they are NaN.
    """
    descriptors = tracks.descriptors
    points = np.empty(len(tracks), feature_dtype(descriptors.shape[1], descriptors.dtype))
    is_dense = _write_keypoints(points, tracks.keypoints, tracks.scores, camera)
    points["track_id"] = tracks.track_id
    points["age"] = tracks.age
    points["vx"] = tracks.velocity[:, 0]
    points["vy"] = tracks.velocity[:, 1]
    if descriptors.shape[1]:
        points["descriptor"] = descriptors
    return PointCloud(stamp_ns, frame_id, points, is_dense)


def pack_tracks(tracks: Tracks, camera: Camera | None, stamp_ns: int, frame_id: str) -> PointCloud:
    """Pack a tracker's points without their descriptors for ``~/tracks``.

    :param camera: gives the rays ``x y z``; without one they are NaN.
    """
    bare = replace(tracks, descriptors=tracks.descriptors[:, :0])
    return pack_features(bare, camera, stamp_ns, frame_id)


def without_descriptors(features: PointCloud) -> PointCloud:
    """Give the cloud of ``~/tracks`` from that of ``~/features``: cheaper than packing the same tracks again."""
    track = features.data.reshape(features.width, features.point_step)[:, : TRACK_DTYPE.itemsize]
    return replace(features, points=np.ascontiguousarray(track).view(TRACK_DTYPE)[:, 0])


def _write_keypoints(points: NDArray[np.void], keypoints: Float32, scores: Float32, camera: Camera | None) -> bool:
    """Fill ``x y z u v score``; tell whether every ray is finite."""
    rays = np.full((len(keypoints), 3), np.nan, np.float32) if camera is None else camera.quick_rays(keypoints)
    for column, name in enumerate("xyz"):
        points[name] = rays[:, column]
    points["u"] = keypoints[:, 0]
    points["v"] = keypoints[:, 1]
    points["score"] = scores
    return bool(np.isfinite(rays).all())
