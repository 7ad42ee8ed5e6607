from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kp_ros.image_decoding import (
    ImageError,
    UnknownEncodingError,
    decode_compressed,
    decode_image,
    encodings,
    stretch_to_uint8,
)

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def colour() -> NDArray[np.uint8]:
    """A smooth BGR image with another gradient in each channel, so that a mixed-up order shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    channels = [40 + x, 200 - 2 * y, 20 + x + 2 * y]
    return np.stack(channels, axis=-1).astype(np.uint8)


def padded(rows: NDArray[np.uint8], padding: int) -> tuple[int, bytes]:
    """Rows of bytes with some unused bytes after each: step and data."""
    flat = rows.reshape(len(rows), -1)
    return flat.shape[1] + padding, np.pad(flat, ((0, 0), (0, padding)), constant_values=255).tobytes()


def as_bytes(image: NDArray[np.uint16], is_bigendian: bool) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.astype(">u2" if is_bigendian else "<u2")).view(np.uint8)


def grey_of(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def test_mono8_is_a_view_of_the_message() -> None:
    data = bytearray(np.arange(HEIGHT * 70, dtype=np.uint8).tobytes())
    image = decode_image("mono8", HEIGHT, WIDTH, 70, False, data)
    assert image.shape == (HEIGHT, WIDTH)
    assert image.strides == (70, 1)
    data[70 * 3 + 5] = 99
    assert image[3, 5] == 99


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize(
    ("encoding", "code"),
    [
        ("bgr8", None),
        ("8UC3", None),
        ("rgb8", cv2.COLOR_BGR2RGB),
        ("bgra8", cv2.COLOR_BGR2BGRA),
        ("8UC4", cv2.COLOR_BGR2BGRA),
        ("rgba8", cv2.COLOR_BGR2RGBA),
    ],
)
def test_colour(colour: NDArray[np.uint8], encoding: str, code: int | None, padding: int) -> None:
    pixels = colour if code is None else cv2.cvtColor(colour, code)
    step, data = padded(np.asarray(pixels, np.uint8), padding)
    np.testing.assert_array_equal(decode_image(encoding, HEIGHT, WIDTH, step, False, data), grey_of(colour))


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer(colour: NDArray[np.uint8], pattern: str, bits: int, padding: int) -> None:
    mosaic = np.empty((HEIGHT, WIDTH), np.uint8)
    for place, channel in enumerate(pattern):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = colour[row::2, column::2, "bgr".index(channel)]
    pixels = mosaic if bits == 8 else as_bytes(mosaic.astype(np.uint16) << 4, True)
    step, data = padded(pixels, padding)
    image = decode_image(f"bayer_{pattern}{bits}", HEIGHT, WIDTH, step, True, data)
    expected = grey_of(colour) if bits == 8 else stretch_to_uint8(grey_of(colour).astype(np.uint16))
    assert image.dtype == np.uint8
    assert np.abs(image[2:-2, 2:-2].astype(int) - expected[2:-2, 2:-2]).max() <= 6


@pytest.mark.parametrize(("encoding", "luminance"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)])
@pytest.mark.parametrize("padding", [0, 5])
def test_yuv422(colour: NDArray[np.uint8], encoding: str, luminance: int, padding: int) -> None:
    pixels = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    pixels[..., luminance] = colour[..., 0]
    step, data = padded(pixels, padding)
    np.testing.assert_array_equal(decode_image(encoding, HEIGHT, WIDTH, step, False, data), colour[..., 0])


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("shift", [2, 8])
def test_mono16_is_stretched_whatever_bits_it_uses(
    colour: NDArray[np.uint8], is_bigendian: bool, padding: int, shift: int
) -> None:
    deep = colour[..., 0].astype(np.uint16) << shift
    step, data = padded(as_bytes(deep, is_bigendian), padding)
    image = decode_image("mono16", HEIGHT, WIDTH, step, is_bigendian, data)
    assert (image.min(), image.max()) == (0, 255)
    np.testing.assert_allclose(image[:, 20], 255 * (20 / 60), atol=6)


def test_16_bit_colour(colour: NDArray[np.uint8]) -> None:
    deep = np.ascontiguousarray(colour.astype("<u2") * 257)
    image = decode_image("bgr16", HEIGHT, WIDTH, WIDTH * 6, False, deep.tobytes())
    assert np.corrcoef(image.ravel(), grey_of(colour).ravel())[0, 1] > 0.999


def test_a_hot_pixel_does_not_darken_a_16_bit_image(colour: NDArray[np.uint8]) -> None:
    deep = colour[..., 0].astype(np.uint16)
    deep[0, 0] = 65535
    image = stretch_to_uint8(deep)
    assert image[20, 60] - image[20, 4] > 200


@pytest.mark.parametrize("level", [0, 300, 65535])
def test_a_flat_16_bit_image_stays_flat(level: int) -> None:
    assert not stretch_to_uint8(np.full((8, 8), level, np.uint16)).any()


def test_few_bright_pixels_on_black_survive_the_stretch() -> None:
    deep = np.zeros((100, 100), np.uint16)
    deep[50, 50] = 1000
    assert stretch_to_uint8(deep)[50, 50] == 255


@pytest.mark.parametrize("encoding", encodings())
def test_every_encoding_gives_grey(encoding: str) -> None:
    step = WIDTH * 8
    image = decode_image(encoding, HEIGHT, WIDTH, step, False, bytes(HEIGHT * step))
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH), np.uint8)


@pytest.mark.parametrize(
    ("encoding", "height", "width", "step", "length", "message"),
    [
        ("bgr8", 48, 64, 64, 48 * 64, "step of 64 bytes is too small: 64 pixels of bgr8 take 192"),
        ("mono8", 48, 60, 60, 48 * 64, "holds 3072 bytes, but 48 rows with a step of 60 take 2880"),
        ("mono8", 48, 64, 64, 47 * 64, "holds 3008 bytes, but 48 rows with a step of 64 take 3072"),
        ("mono8", 0, 64, 64, 0, "64 x 0 pixels"),
        ("yuv422", 48, 63, 126, 48 * 126, "63 wide"),
    ],
)
def test_an_image_that_lies_is_refused(
    encoding: str, height: int, width: int, step: int, length: int, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        decode_image(encoding, height, width, step, False, bytes(length))


def test_an_unknown_encoding_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UnknownEncodingError, match=r"'jpeg2000' is unknown; publish one of mono8, .*image_proc"):
        decode_image("jpeg2000", 1, 1, 1, False, b"x")


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compressed(colour: NDArray[np.uint8], suffix: str) -> None:
    data = cv2.imencode(suffix, colour)[1].tobytes()
    image = decode_compressed("bgr8; jpeg compressed bgr8", data)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - grey_of(colour)).max() <= 4


def test_a_16_bit_png_is_stretched(colour: NDArray[np.uint8]) -> None:
    data = cv2.imencode(".png", colour[..., 0].astype(np.uint16))[1]
    image = decode_compressed("16UC1; png compressed", data)
    assert (image.dtype, image.min(), image.max()) == (np.uint8, 0, 255)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(colour: NDArray[np.uint8], suffix: str, kept: float) -> None:
    data = cv2.imencode(suffix, colour)[1].tobytes()
    with pytest.raises(ImageError, match="cut off; check the link"):
        decode_compressed("jpeg", data[: int(len(data) * kept)])


def test_a_truncated_jpeg_is_refused_even_with_a_whole_thumbnail_in_its_header(colour: NDArray[np.uint8]) -> None:
    data = cv2.imencode(".jpg", colour)[1].tobytes()
    thumbnail = cv2.imencode(".jpg", colour[:8, :8])[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + segment + data[2:]
    assert decode_compressed("jpeg", whole).shape == (HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="cut off"):
        decode_compressed("jpeg", whole[:-40])


def test_padding_after_a_jpeg_is_accepted(colour: NDArray[np.uint8]) -> None:
    data = cv2.imencode(".jpg", colour)[1].tobytes() + bytes(100)
    assert decode_compressed("jpeg", data).shape == (HEIGHT, WIDTH)


def test_exif_orientation_is_ignored(colour: NDArray[np.uint8]) -> None:
    data = cv2.imencode(".jpg", colour)[1].tobytes()
    # A little-endian TIFF header with one entry: tag 0x0112 (orientation), a short, 6: turned by 90 degrees.
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    assert decode_compressed("jpeg", data[:2] + segment + data[2:]).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(20), b"\0" * 12 + b"\x89PNG\r\n\x1a\n"])
def test_another_kind_of_file_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"neither JPEG nor PNG.*image_transport: raw"):
        decode_compressed("16UC1; compressedDepth png", data)


def test_a_damaged_png_is_refused(colour: NDArray[np.uint8]) -> None:
    data = bytearray(cv2.imencode(".png", colour)[1].tobytes())
    data[12:30] = bytes(18)
    with pytest.raises(ImageError, match="PNG image"):
        decode_compressed("png", data)
