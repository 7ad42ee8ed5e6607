"""World, camera and pose -> image and depth.

In the image of a plane, 1/z is an affine function of the pixel, and so are u/z and v/z for the coordinates u, v of its
texture (perspective-correct texturing, Heckbert 1989, "Fundamentals of Texture Mapping and Image Warping"). Visibility
is a buffer of 1/z. Textures are read from the resolution at which a sample covers about one texel (Williams 1983,
"Pyramidal Parametrics"), and every pixel is the mean of 2 x 2 samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.camera import Camera
from kp_ros.simulation.textures import Image
from kp_ros.simulation.world import Atlas, World

Matrix = NDArray[np.float64]

#: Metres before the camera that nothing nearer is drawn at.
NEAR = 0.05
#: Samples a pixel, along each side.
SAMPLES = 2
#: What a sample's footprint is scaled by before its resolution is chosen. The four samples of a pixel round unalike, so
#: that their mean blends two resolutions (as trilinear filtering does, at half its price).
ROUNDING = 2.0 ** np.array([[0.125, 0.625], [0.875, 0.375]], np.float32)
#: Sine of the elevation up to which the sky has the horizon's colour.
SKY_BEGINS = 0.28


@dataclass(frozen=True)
class RenderedFrame:
    """What the camera sees, and the truth about it.

    :ivar image: uint8 [H, W, 3], BGR.
    :ivar depth: float32 [H, W], metres along the optical axis at the pixel's centre; infinite in the sky.
    :ivar pose: float64 [4, 4], camera to world: optical frame (x right, y down, z forward) to the world's, metres.
    """

    image: Image
    depth: NDArray[np.float32]
    pose: Matrix


@dataclass(frozen=True)
class _Plane:
    """A surface as one view has it.

    :ivar index: of the surface.
    :ivar rows: float64 [3, 3]: (u/z, v/z, 1/z) = rows @ (x, y, 1), u v in texels, x y in pixels.
    :ivar outline: float64 [n, 2], pixels: its convex outline, clipped to what lies before the camera.
    """

    index: int
    rows: Matrix
    outline: Matrix


@dataclass(frozen=True)
class _Area:
    """The samples that a plane covers.

    :ivar top: its first row.
    :ivar start: its first column.
    :ivar end: one beyond its last column.
    :ivar first: int32 [rows, 1], the first column inside, for each row.
    :ivar beyond: int32 [rows, 1], one beyond the last.
    """

    top: int
    start: int
    end: int
    first: NDArray[np.int32]
    beyond: NDArray[np.int32]


def render(world: World, camera: Camera, pose: Matrix) -> RenderedFrame:
    """Draw what a pinhole camera sees.

    :param camera: without distortion.
    :param pose: float64 [4, 4], camera to world.
    :raises ValueError: the camera has a distorting lens.
    """
    planes = _planes(world, camera, pose)
    depth = _depth(planes, camera)
    seen, nearness = _visible(planes, camera.width, camera.height, SAMPLES)
    image = _colours(world, planes, seen, nearness)
    image = _with_sky(image, world, camera, pose, seen)
    if world.haze:
        image = _through_haze(image, depth, world)
    return RenderedFrame(image, depth, pose)


def render_depth(world: World, camera: Camera, pose: Matrix) -> NDArray[np.float32]:
    """The depth alone, float32 [H, W] metres, as :func:`render` gives it; ten times faster."""
    return _depth(_planes(world, camera, pose), camera)


def _depth(planes: list[_Plane], camera: Camera) -> NDArray[np.float32]:
    _, nearness = _visible(planes, camera.width, camera.height, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / nearness, np.float32)


def _planes(world: World, camera: Camera, pose: Matrix) -> list[_Plane]:
    """The surfaces that face the camera and reach into its view, nearest first."""
    if camera.distortion.any():
        raise ValueError("the renderer draws pinhole cameras only: give a camera without distortion")
    shapes = world.geometry
    rotation, eye = pose[:3, :3], pose[:3, 3]
    facing = np.flatnonzero(np.einsum("ij,ij->i", shapes.normal, eye - shapes.corner) > 0)
    # [n, 3, 3]: (u, v, 1) in texels -> the camera's frame.
    frames = rotation.T @ np.concatenate([shapes.texel[facing], (shapes.corner[facing] - eye)[..., None]], 2)
    width, height = shapes.size[facing].T
    zero, one = np.zeros(len(facing)), np.ones(len(facing))
    corners = frames @ np.array([[zero, width, width, zero], [zero, zero, height, height], [one] * 4]).transpose(
        2, 0, 1
    )
    projected = camera.matrix @ corners
    depth = projected[:, 2]
    limits = np.array([[camera.width], [camera.height]])
    outside = (projected[:, :2] < -depth[:, None]).all(2) | (projected[:, :2] > limits * depth[:, None]).all(2)
    texels = camera.matrix @ frames
    # Edge-on, a surface's image has no area.
    shown = (depth.max(1) > NEAR) & ~outside.any(1) & (np.abs(np.linalg.det(texels)) > 1e-12)
    order = np.flatnonzero(shown)[np.argsort(depth[shown].min(1), kind="stable")]
    inverses = np.linalg.inv(texels[order])
    planes = []
    for rows, number in zip(inverses, order, strict=True):
        solid = projected[number].T
        if depth[number].min() < NEAR:
            solid = _before_camera(solid)
        planes.append(_Plane(int(facing[number]), rows, solid[:, :2] / solid[:, 2:]))
    return planes


def _before_camera(corners: Matrix) -> Matrix:
    """Cuts a convex polygon [n, 3] at the near plane (Sutherland and Hodgman 1974)."""
    kept: list[NDArray[np.float64]] = []
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        if start[2] >= NEAR:
            kept.append(start)
        if (start[2] >= NEAR) != (end[2] >= NEAR):
            kept.append(start + (end - start) * ((NEAR - start[2]) / (end[2] - start[2])))
    return np.array(kept)


def _sampled(rows: Matrix, samples: int) -> Matrix:
    """The same affine functions, of the column and row of a sample instead of x and y of a pixel."""
    offset = 0.5 / samples - 0.5
    return np.asarray(rows @ np.array([[1 / samples, 0, offset], [0, 1 / samples, offset], [0, 0, 1]]), np.float64)


def _area(outline: Matrix, width: int, height: int) -> _Area | None:
    """Which samples lie inside a convex outline [n, 2] (in samples); None where none does."""
    y0, y1 = outline[:, 1, None], np.roll(outline[:, 1], -1)[:, None]
    x0, x1 = outline[:, 0, None], np.roll(outline[:, 0], -1)[:, None]
    low, high = max(0, int(np.ceil(y0.min()))), min(height, int(np.ceil(y0.max())))
    if high <= low:
        return None
    rows = np.arange(low, high, dtype=np.float64)
    crossed = (np.minimum(y0, y1) <= rows) & (rows < np.maximum(y0, y1))
    with np.errstate(divide="ignore", invalid="ignore"):
        x = x0 + (rows - y0) * ((x1 - x0) / (y1 - y0))
    first = np.ceil(np.clip(np.where(crossed, x, np.inf).min(0), 0, width)).astype(np.int32)[:, None]
    beyond = np.ceil(np.clip(np.where(crossed, x, -np.inf).max(0), 0, width)).astype(np.int32)[:, None]
    start, end = int(first.min()), int(beyond.max())
    return _Area(low, start, end, first, beyond) if end > start else None


def _affine(row: NDArray[np.float64], top: int, bottom: int, start: int, end: int) -> NDArray[np.float32]:
    """An affine function of column and row, over a block of samples."""
    along = (row[0] * np.arange(start, end) + row[2]).astype(np.float32)
    return np.asarray((row[1] * np.arange(top, bottom)).astype(np.float32)[:, None] + along, np.float32)


def _visible(
    planes: list[_Plane], width: int, height: int, samples: int
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Which plane each sample sees (its place in the list; -1: none), and its 1/z (0: none)."""
    width, height = width * samples, height * samples
    seen = np.full((height, width), -1, np.int16)
    nearness = np.zeros((height, width), np.float32)
    columns = np.arange(width, dtype=np.int32)
    for number, plane in enumerate(planes):
        area = _area((plane.outline + 0.5) * samples - 0.5, width, height)
        if area is None:
            continue
        bottom = area.top + len(area.first)
        block = np.s_[area.top : bottom, area.start : area.end]
        inverse_depth = _affine(_sampled(plane.rows, samples)[2], area.top, bottom, area.start, area.end)
        nearest = inverse_depth > nearness[block]
        nearest &= columns[area.start : area.end] >= area.first
        nearest &= columns[area.start : area.end] < area.beyond
        np.copyto(nearness[block], inverse_depth, where=nearest)
        np.copyto(seen[block], number, where=nearest, casting="same_kind")
    return seen, nearness


def _colours(world: World, planes: list[_Plane], seen: NDArray[np.int16], nearness: NDArray[np.float32]) -> Image:
    """The image without the sky: every sample looks its colour up, and every pixel is the mean of its samples."""
    map_x, map_y = np.full_like(nearness, -10), np.full_like(nearness, -10)
    # The atlas has black there, outside itself: what sees no surface adds nothing.
    for number in np.flatnonzero(np.bincount(seen.ravel().view(np.uint16), minlength=2**16)[: len(planes)]):
        _look_up(planes[number], int(number), world, seen, nearness, map_x, map_y)
    fine = cv2.remap(world.atlas.image, map_x, map_y, cv2.INTER_LINEAR)
    size = (seen.shape[1] // SAMPLES, seen.shape[0] // SAMPLES)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)


def _look_up(
    plane: _Plane,
    number: int,
    world: World,
    seen: NDArray[np.int16],
    nearness: NDArray[np.float32],
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
) -> None:
    """Where in the atlas the samples that see one plane find their colour."""
    outline = (plane.outline + 0.5) * SAMPLES - 0.5
    height, width = seen.shape
    (start, top), (end, bottom) = np.clip(outline.min(0), 0, None), outline.max(0) + 1
    top, bottom, start, end = int(top), min(height, int(bottom) + 1), int(start), min(width, int(end) + 1)
    mask = seen[top:bottom, start:end] == number
    # Most of what is partly hidden shows only a part: the work is done for its bounding box.
    rows_used, columns_used = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom = top + int(rows_used[0]), top + int(rows_used[-1]) + 1
    start, end = start + int(columns_used[0]), start + int(columns_used[-1]) + 1
    block = np.s_[top:bottom, start:end]
    mask = seen[block] == number
    z = np.zeros(mask.shape, np.float32)
    np.divide(1, nearness[block], out=z, where=mask)

    rows = _sampled(plane.rows, SAMPLES)
    atlas: Atlas = world.atlas
    level, scale = _resolution(rows, top, start, z, atlas.levels)
    texture_size = world.geometry.size[plane.index]
    for row, origin, size, target in (
        (rows[0], atlas.origin_x[plane.index], texture_size[0], map_x),
        (rows[1], atlas.origin_y[plane.index], texture_size[1], map_y),
    ):
        texel = _affine(row, top, bottom, start, end)
        texel *= z
        np.clip(texel, 0, np.float32(size), out=texel)
        texel *= scale
        texel += np.take(origin - np.float32(0.5), level)
        np.copyto(target[block], texel, where=mask)


def _resolution(
    rows: Matrix, top: int, start: int, z: NDArray[np.float32], levels: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Which of the atlas's resolutions each sample of a block reads, and its scale (2^-level).

    It goes by how many texels a sample spans along its longer side. With u = U/w and U, w affine,
    du/dx = (U_x w - U w_x) / w^2, whose numerator depends on y alone; that of du/dy depends on x alone. So a row and a
    column hold all that there is to compute.
    """
    y, x = (np.arange(n, dtype=np.float64) + first for n, first in zip(z.shape, (top, start), strict=True))
    wx, wy, w0 = rows[2]
    squares_y, squares_x = np.zeros(len(y)), np.zeros(len(x))
    for ax, ay, a0 in rows[:2]:
        squares_y += (ax * (wy * y + w0) - (ay * y + a0) * wx) ** 2
        squares_x += (ay * (wx * x + w0) - (ax * x + a0) * wy) ** 2
    span = np.maximum(np.sqrt(squares_y).astype(np.float32)[:, None], np.sqrt(squares_x).astype(np.float32))
    span *= z
    span *= z
    for row in range(SAMPLES):
        for column in range(SAMPLES):
            span[row::SAMPLES, column::SAMPLES] *= ROUNDING[(top + row) % SAMPLES, (start + column) % SAMPLES]
    # The exponent of a float is the floor of its logarithm: exact, and the same on every machine.
    level = span.view(np.int32)
    level >>= 23
    level -= 127
    np.clip(level, 0, levels - 1, out=level)
    return level, ((127 - level) << 23).view(np.float32)


def _with_sky(image: Image, world: World, camera: Camera, pose: Matrix, seen: NDArray[np.int16]) -> Image:
    """Puts the sky where samples saw nothing: from the horizon's colour to the zenith's."""
    empty = (seen < 0).astype(np.uint8)
    if not empty.any():
        return image
    share = cv2.resize(empty * 255, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    inverse = np.linalg.inv(camera.matrix)
    upwards = _affine(inverse.T @ pose[2, :3], 0, camera.height, 0, camera.width)
    squares = sum(_affine(row, 0, camera.height, 0, camera.width) ** 2 for row in inverse)
    elevation = np.clip(upwards / np.sqrt(squares), SKY_BEGINS, 1) - np.float32(SKY_BEGINS)
    steps = np.rint(elevation * np.float32(255 / (1 - SKY_BEGINS))).astype(np.uint8)
    # Smooth at its beginning: an edge in the sky would be a thing to track.
    height = np.arange(256)[:, None] / 255
    blend = height * (2 - height) * np.minimum(1, 8 * height)
    colours = np.rint(np.array(world.horizon) * (1 - blend) + np.array(world.zenith) * blend).astype(np.uint8)
    sky = cv2.LUT(cv2.merge([steps] * 3), colours[None])
    return np.asarray(cv2.add(image, cv2.multiply(sky, cv2.merge([share] * 3), scale=1 / 255)), np.uint8)


def _through_haze(image: Image, depth: NDArray[np.float32], world: World) -> Image:
    """What is far away takes on the horizon's colour (Koschmieder 1924), by a ratio in place of the exponential."""
    clear = 1 / (1 + np.float32(world.haze) * depth)
    clear[np.isinf(depth)] = 1
    air = np.full_like(image, world.horizon)
    return np.asarray(cv2.blendLinear(image, air, clear, 1 - clear), np.uint8)
