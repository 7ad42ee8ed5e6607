"""The node in its own process, real images from another one, over DDS."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from conftest import Camera, StartNode
from rclpy.qos import ReliabilityPolicy, qos_profile_sensor_data
from robot import (
    ACTIVATE,
    CLOUDS,
    CONFIGURE,
    DEACTIVATE,
    FRAME_ID,
    NODE,
    NodeProcess,
    Robot,
    compressed_message,
    image_message,
    points,
    stamp_of,
    stamped,
)
from sensor_msgs.msg import Image


def test_it_publishes_keypoints_and_tracks_of_real_images(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.send_calibration(camera.info)
    first: dict[int, np.void] = {}
    for index, image in enumerate(camera.images):
        clouds = robot.ask(image_message(image, "mono8", camera.stamp(index)))
        assert all(cloud.header.frame_id == FRAME_ID for cloud in clouds.values())
        tracks = points(clouds["tracks"])
        if index == 0:
            first = {point["track_id"]: point for point in tracks}
    keypoints, features = points(clouds["keypoints"]), points(clouds["features"])
    for cloud in (keypoints, tracks, features):
        assert len(cloud) > 100
        assert ((cloud["u"] >= 0) & (cloud["u"] <= 639) & (cloud["v"] >= 0) & (cloud["v"] <= 479)).all()
        np.testing.assert_allclose(cloud["z"], 1)
        np.testing.assert_allclose(cloud["x"], (cloud["u"] - camera.info.k[2]) / camera.info.k[0], atol=1e-5)
        np.testing.assert_allclose(cloud["y"], (cloud["v"] - camera.info.k[5]) / camera.info.k[4], atol=1e-5)
    np.testing.assert_array_equal(features["track_id"], tracks["track_id"])
    assert features["descriptor"].shape == (len(features), 32)
    survivors = [point for point in tracks if point["track_id"] in first]
    assert len(survivors) > 50
    assert {int(point["age"]) for point in survivors} == {len(camera.images)}
    assert clouds["tracks"].is_dense


def test_the_model_is_announced_to_those_who_come_later(robot: Robot, active: NodeProcess) -> None:
    model = json.loads(robot.wait_for("model", lambda: robot.heard["model"])[0].data)
    assert (model["name"], model["descriptor_size"], model["descriptor_norm"]) == ("orb", 32, "hamming")
    assert model["backend"] == "opencv"


def test_it_takes_every_encoding_and_any_step(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    grey = camera.images[0]
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    yuv = np.full((480, 640, 2), 128, np.uint8)
    yuv[..., 1] = grey
    deep = grey.astype(np.uint16) << 4
    images = {
        "mono8": grey,
        "bgr8": colour,
        "rgb8": colour,
        "bgra8": cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA),
        "rgba8": cv2.cvtColor(grey, cv2.COLOR_GRAY2RGBA),
        "bayer_rggb8": grey,
        "yuv422": yuv,
        "yuv422_yuy2": yuv[..., ::-1],
        "mono16": deep,
    }
    for index, (encoding, pixels) in enumerate(images.items()):
        message = image_message(pixels, encoding, camera.stamp(index), padding=13 * (index % 2))
        assert robot.ask(message)["keypoints"].width > 100, encoding
    message = image_message(deep.astype(">u2").view(np.uint16), "mono16", camera.stamp(len(images)))
    message.is_bigendian = 1
    big_endian = robot.ask(message)["keypoints"]
    little_endian = robot.clouds(camera.stamp(len(images) - 1))["keypoints"]
    assert bytes(big_endian.data) == bytes(little_endian.data)


def lying_step(image: Image) -> Image:
    image.step = 300
    return image


def short_data(image: Image) -> Image:
    image.data = image.data[:1000]
    return image


def unknown_encoding(image: Image) -> Image:
    image.encoding = "h264"
    return image


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lying_step, "step of 300 bytes is too small: 640 pixels of mono8 take 640"),
        (short_data, "holds 1000 bytes, but 480 rows"),
        (unknown_encoding, "encoding 'h264' is unknown; publish one of mono8"),
    ],
)
def test_it_survives_a_bad_image_and_says_why(
    robot: Robot, active: NodeProcess, camera: Camera, spoil: object, reason: str
) -> None:
    assert callable(spoil)
    robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))
    robot.image_publisher.publish(spoil(image_message(camera.images[1], "mono8", camera.stamp(1))))
    status = robot.diagnosis("input", lambda status: reason in status.message)
    assert status.level == status.WARN
    assert reason in active.log
    assert robot.ask(image_message(camera.images[2], "mono8", camera.stamp(2)))["tracks"].width > 100


def test_it_takes_compressed_images_and_survives_a_truncated_one(
    robot: Robot, start_node: StartNode, camera: Camera
) -> None:
    node = start_node(image_transport="compressed")
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens(robot.compressed_publisher)
    for index, suffix in enumerate([".jpg", ".png"]):
        data = cv2.imencode(suffix, camera.images[index])[1].tobytes()
        assert robot.ask(compressed_message(data, suffix[1:], camera.stamp(index)))["keypoints"].width > 100
    data = cv2.imencode(".jpg", camera.images[2])[1].tobytes()
    robot.compressed_publisher.publish(compressed_message(data[: len(data) // 2], "jpeg", camera.stamp(2)))
    robot.diagnosis("input", lambda status: "JPEG image ends" in status.message and "cut off" in status.message)
    assert "cut off" in node.log
    assert robot.ask(compressed_message(data, "jpeg", camera.stamp(3)))["keypoints"].width > 100


def test_the_resolution_may_change_while_it_runs(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.send_calibration(camera.info)
    before = points(robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"])
    small = cv2.resize(camera.images[1], (320, 240), interpolation=cv2.INTER_AREA)
    clouds = robot.ask(image_message(small, "mono8", camera.stamp(1)))
    after = points(clouds["tracks"])
    assert after["u"].max() <= 319
    assert not np.isin(after["track_id"], before["track_id"]).any()
    # The calibration is for 640 x 480; a resize scales it.
    np.testing.assert_allclose(
        after["x"], ((after["u"] + 0.5) * 2 - 0.5 - camera.info.k[2]) / camera.info.k[0], atol=1e-5
    )
    odd = camera.images[2][:301, :403]
    cropped = robot.ask(image_message(odd, "mono8", camera.stamp(2)))["keypoints"]
    assert cropped.width > 100
    assert not cropped.is_dense
    assert "another aspect ratio" in active.log


def test_a_stamp_that_jumps_back_starts_the_tracks_anew(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    for index in (10, 11):
        before = points(robot.ask(image_message(camera.images[index], "mono8", camera.stamp(index)))["tracks"])
    assert before["age"].max() == 2
    after = points(robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"])
    assert after["age"].max() == 1
    assert not np.isin(after["track_id"], before["track_id"]).any()
    assert "the tracks begin anew" in active.log


def test_without_calibration_the_rays_are_nan_and_it_says_so_once(
    robot: Robot, active: NodeProcess, camera: Camera
) -> None:
    robot.spin(1.2)
    for index in range(3):
        cloud = robot.ask(image_message(camera.images[index], "mono8", camera.stamp(index)))["tracks"]
        assert not cloud.is_dense
        assert np.isnan([points(cloud)[name] for name in "xyz"]).all()
    assert active.log.count("no message on /camera_info yet") == 1
    robot.diagnosis("calibration", lambda status: "no message on /camera_info yet" in status.message)
    robot.send_calibration(camera.info)
    assert robot.ask(image_message(camera.images[3], "mono8", camera.stamp(3)))["tracks"].is_dense


def test_an_uncalibrated_camera_gives_nan_and_a_hint(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.send_calibration(type(camera.info)(width=640, height=480))
    cloud = robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["keypoints"]
    assert np.isnan(points(cloud)["x"]).all()
    assert "the camera is uncalibrated (K[0] is 0); calibrate it" in active.log
    robot.send_calibration(camera.info)
    assert robot.ask(image_message(camera.images[1], "mono8", camera.stamp(1)))["keypoints"].is_dense


def test_the_newest_image_wins_and_drops_are_counted(robot: Robot, start_node: StartNode, camera: Camera) -> None:
    start_node(model="sift")
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))
    for index in range(1, 41):
        image = camera.images[index % len(camera.images)]
        robot.image_publisher.publish(image_message(image, "mono8", camera.stamp(index)))
        robot.spin(0.01)
    last = camera.stamp(40)
    robot.wait_for("the last image", lambda: robot.clouds(last))
    stamps = [stamp_of(cloud) for cloud in robot.heard["tracks"]]
    assert stamps == sorted(set(stamps))

    def counts(status: object) -> dict[str, str]:
        return {item.key: item.value for item in status.values}  # type: ignore[attr-defined]

    speed = counts(robot.diagnosis("speed", lambda status: counts(status)["published"] == str(len(stamps))))
    assert int(speed["dropped"]) > 10
    received = counts(robot.diagnosis("input", lambda status: True))["received"]
    assert int(received) == int(speed["published"]) + int(speed["dropped"])
    status = robot.diagnosis("speed", lambda status: status.level == status.WARN)
    assert "lower max_keypoints" in status.message


def subscribed(robot: Robot, reliability: ReliabilityPolicy) -> bool:
    infos = robot.node.get_subscriptions_info_by_topic("/image")
    return [info.qos_profile.reliability for info in infos] == [reliability]


def test_it_is_as_reliable_as_the_camera(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.wait_for("reliable subscription", lambda: subscribed(robot, ReliabilityPolicy.RELIABLE))
    sensor = robot.node.create_publisher(Image, "/image", qos_profile_sensor_data)
    robot.wait_for("best effort subscription", lambda: subscribed(robot, ReliabilityPolicy.BEST_EFFORT))
    robot.wait_for("match", lambda: sensor.get_subscription_count() > 0)
    for index, image in enumerate(camera.images):
        sensor.publish(image_message(image, "mono8", camera.stamp(index)))
        robot.spin(0.2)
    robot.wait_for("answer", lambda: robot.heard["tracks"])
    robot.node.destroy_publisher(sensor)
    robot.wait_for("reliable subscription", lambda: subscribed(robot, ReliabilityPolicy.RELIABLE))


def test_the_reliability_can_be_overridden_and_lost_images_are_diagnosed(
    robot: Robot, start_node: StartNode, camera: Camera
) -> None:
    start_node("-p", "qos_overrides./image.subscription.reliability:=best_effort")
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    assert subscribed(robot, ReliabilityPolicy.BEST_EFFORT)
    # Larger than Fast DDS's shared memory.
    colour = np.repeat(cv2.resize(camera.images[0], (1280, 960))[..., None], 3, axis=2)
    for index in range(15):
        robot.image_publisher.publish(image_message(colour, "bgr8", camera.stamp(index)))
        robot.spin(0.02)
    status = robot.diagnosis("input", lambda status: "images lost on the way" in status.message)
    assert status.level == status.WARN
    assert "let the camera publish reliably" in status.message


def test_silence_is_diagnosed(robot: Robot, start_node: StartNode) -> None:
    start_node("-r", "image:=/nowhere/image_raw", image_timeout=0.3)
    assert robot.transition(CONFIGURE)
    assert robot.transition(ACTIVATE)
    status = robot.diagnosis("input", lambda status: "no image on /nowhere/image_raw" in status.message)
    assert "nobody publishes there" in status.message
    status = robot.diagnosis("calibration", lambda status: True)
    assert "/nowhere/camera_info" in status.message


def test_the_debug_image_is_drawn_only_while_someone_looks(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))
    subscription = robot.listen(Image, f"{NODE}/debug_image", "debug_image")
    robot.wait_for("debug image publisher", lambda: robot.node.count_publishers(f"{NODE}/debug_image"))
    robot.spin(0.5)
    robot.ask(image_message(camera.images[1], "mono8", camera.stamp(1)))
    picture = robot.wait_for("debug image", lambda: robot.heard["debug_image"])[0]
    assert (picture.encoding, picture.width, picture.height) == ("bgr8", 640, 480)
    assert stamp_of(picture) == camera.stamp(1)
    pixels = np.frombuffer(bytes(picture.data), np.uint8).reshape(480, 640, 3)
    assert (pixels[..., 0] != pixels[..., 2]).mean() > 0.01
    robot.node.destroy_subscription(subscription)


def test_it_publishes_only_while_it_is_active(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    before = points(robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))["tracks"])
    assert robot.transition(DEACTIVATE)
    for index in range(1, 6):
        robot.image_publisher.publish(image_message(camera.images[index], "mono8", camera.stamp(index)))
        robot.spin(0.05)
    assert {stamp_of(cloud) for topic in CLOUDS for cloud in robot.heard[topic]} == {camera.stamp(0)}
    assert robot.transition(ACTIVATE)
    robot.wait_until_it_listens()
    after = points(robot.ask(image_message(camera.images[6], "mono8", camera.stamp(6)))["tracks"])
    assert not np.isin(after["track_id"], before["track_id"]).any()


def test_images_with_any_frame_id_keep_it(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    message = stamped(image_message(camera.images[0], "mono8", 0), camera.stamp(0))
    message.header.frame_id = "kamera_ö"
    assert robot.ask(message)["features"].header.frame_id == "kamera_ö"


def test_control_c_ends_it_quietly(robot: Robot, active: NodeProcess, camera: Camera) -> None:
    robot.ask(image_message(camera.images[0], "mono8", camera.stamp(0)))
    for index in range(1, 4):
        robot.image_publisher.publish(image_message(camera.images[index], "mono8", camera.stamp(index)))
    assert active.interrupt() == 0
    assert "Traceback" not in active.log
