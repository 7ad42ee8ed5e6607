"""Worlds to drive and walk through, each made from a seed and a set of pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.simulation.facades import bricks, coloured, facade, pixels, poster, repeated, shaded, stains
from kp_ros.simulation.textures import Image, Textures, load_textures
from kp_ros.simulation.trajectory import PATH_STEP, Path, Trajectory
from kp_ros.simulation.world import Surface, World

Vector = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])
#: Where the light comes from (east, south and above), of unit length.
SUN = np.array([0.48, -0.36, 0.80])

ROAD_WIDTH = 7.0
#: Metres from the middle of the street to the nearest front of a house.
FRONT = 6.2
#: Metres that must be free on either side of the middle.
CLEARANCE = 4.4
#: Metres of a stripe of the middle line, and of the gap after it.
DASH = 3.0
GROUND_TEXELS = 44.0
SCENERY_DISTANCE = 140.0


def _lit(normal: Vector) -> float:
    """What share of full light a surface sends back: Lambert's law, and light from the sky."""
    return float(0.62 + 0.38 * max(0.0, float(normal @ SUN)))


def _upright(left: Vector, right: Vector, height: float, texture: Image, foot: float = 0.0) -> Surface:
    """A wall from ``left`` to ``right`` [2] (as seen from its front), standing on the ground."""
    across = np.array([*(right - left), 0.0])
    wall = Surface(np.array([*left, foot + height]), across, -height * UP, texture)
    return Surface(wall.corner, wall.right, wall.down, shaded(texture, _lit(wall.normal)))


def _box(centre: Vector, heading: float, size: Vector, sides: list[Image], top: Image | None = None) -> list[Surface]:
    """A box that stands on the ground.

    :param size: along the heading, across it, and up, metres.
    :param sides: of the front (towards the heading), left, back and right.
    """
    forward = np.array([np.cos(heading), np.sin(heading)]) * size[0] / 2
    left = np.array([-np.sin(heading), np.cos(heading)]) * size[1] / 2
    corners = [centre + forward - left, centre + forward + left, centre - forward + left, centre - forward - left]
    # The corners go round counter-clockwise: to the right for whoever looks from outside.
    walls = [
        _upright(corners[side], corners[(side + 1) % 4], float(size[2]), texture) for side, texture in enumerate(sides)
    ]
    if top is None:
        return walls
    corner = np.array([*corners[2], size[2]])
    lid = Surface(corner, np.array([*(2 * forward), 0.0]), np.array([*(-2 * left), 0.0]), shaded(top, _lit(UP)))
    return [*walls, lid]


def street(trajectory: Trajectory, seed: int = 0, textures: Textures | None = None) -> World:
    """A town along the path of a drive: houses with shops and windows, pillars, crates, lamp posts, mountains.

    :param trajectory: from :func:`kp_ros.simulation.trajectory.drive`; the street follows it and goes on beyond.
    :param textures: None takes the pictures that come with the package.
    :raises ValueError: the trajectory has no path on the ground.
    """
    if trajectory.path is None:
        raise ValueError("a street needs the trajectory of a drive, which has a path on the ground")
    textures = textures or load_textures()
    path = trajectory.path
    generator = np.random.default_rng(seed)
    landscape, horizon = _under_sky(textures.scenery[int(generator.integers(len(textures.scenery)))])
    surfaces = [_ground(path, textures, generator), *_scenery(path, landscape)]
    for side in (-1.0, 1.0):
        surfaces += _houses(path, side, textures, generator)
        surfaces += _street_furniture(path, side, textures, generator)
    return World(tuple(surfaces), horizon=horizon, haze=0.0022)


def _ground(path: Path, textures: Textures, generator: np.random.Generator) -> Surface:
    """Road, kerbs, pavements of stone and the lawn beyond, as one texture."""
    low = path.points.min(0) - 16.0
    width, height = path.points.max(0) + 16.0 - low
    # A large town has fewer texels a metre: the texture must fit into the atlas.
    texels = min(GROUND_TEXELS, 8000 / width, 8000 / height)
    size = (pixels(height, texels), pixels(width, texels))
    lawn = repeated(textures.grass, size, texels, 2.2, generator)
    paving = bricks(textures, size, texels, generator, 3.0)
    asphalt = repeated(textures.gravel, size, texels, 1.3, generator, contrast=0.6)
    ground = coloured(lawn, stains(size, 0.25, generator), (70, 118, 96))
    line = np.stack([path.points[:, 0] - low[0], low[1] + height - path.points[:, 1]], 1)[::10] * texels
    points = np.rint(line * 16).astype(np.int32)

    def strip(width: float) -> Image:
        mask = np.zeros(size, np.uint8)
        cv2.polylines(mask, [points], False, 255, round(width * texels), cv2.LINE_8, 4)
        return mask

    cv2.copyTo(coloured(paving, stains(size, 0.18, generator), (150, 158, 165)), strip(2 * FRONT + 1.0), ground)
    cv2.polylines(ground, [points], False, (168, 172, 176), round((ROAD_WIDTH + 0.36) * texels), cv2.LINE_AA, 4)
    cv2.copyTo(coloured(asphalt, stains(size, 0.13, generator), (98, 97, 95)), strip(ROAD_WIDTH), ground)
    dash = round(DASH / (10 * PATH_STEP))
    for start in range(0, len(points) - dash, 2 * dash):
        stripe = points[start : start + dash]
        cv2.polylines(ground, [stripe], False, (225, 230, 232), round(0.14 * texels), cv2.LINE_AA, 4)
    corner = np.array([low[0], low[1] + height, 0.0])
    return Surface(corner, np.array([width, 0.0, 0.0]), np.array([0.0, -height, 0.0]), ground)


def _free(path: Path, outline: NDArray[np.float64]) -> bool:
    """Whether an outline [n, 2] keeps clear of the street everywhere along it."""
    gaps = np.linalg.norm(path.points[::25, None] - outline, axis=2)
    return bool(gaps.min() > CLEARANCE)


def _houses(path: Path, side: float, textures: Textures, generator: np.random.Generator) -> list[Surface]:
    """A row of houses on one side: +1 left, -1 right."""
    surfaces: list[Surface] = []
    distance = 0.0
    while distance < path.length:
        width, depth = generator.uniform(6.5, 11.0), generator.uniform(5.0, 7.0)
        height = 3.4 + 2.9 * generator.integers(1, 4)
        setback = generator.uniform(0.0, 1.3)
        centre, heading = path.at(distance + width / 2, side * (FRONT + setback + depth / 2))
        distance += width + generator.choice([0.0, 0.0, 0.8, 2.2])
        forward = np.array([np.cos(heading), np.sin(heading)])
        left = np.array([-forward[1], forward[0]])
        grid = np.linspace(-0.5, 0.5, 5)
        outline = np.array([centre + forward * width * a + left * depth * b for a in grid for b in grid])
        if not _free(path, outline):
            continue
        front = facade(textures, width, height, generator)
        flank = facade(textures, depth, height, generator, shop=False)
        back = np.full((8, 8, 3), 128, np.uint8)
        sides = [flank, back, flank, front] if side > 0 else [flank, front, flank, back]
        surfaces += _box(centre, heading, np.array([width, depth, height]), sides)
    return surfaces


def _street_furniture(path: Path, side: float, textures: Textures, generator: np.random.Generator) -> list[Surface]:
    """What stands on a pavement: advertising pillars, crates and lamp posts. They move fast and hide what is behind."""
    surfaces: list[Surface] = []
    distance = generator.uniform(3.0, 9.0)
    steel = np.full((64, 8, 3), (70, 74, 78), np.uint8)
    steel[::9] = (110, 112, 116)
    while distance < path.length:
        kind = generator.choice(["pillar", "crates", "lamp"], p=[0.4, 0.35, 0.25])
        place, heading = path.at(distance, side * generator.uniform(4.9, 5.4))
        distance += generator.uniform(4.0, 8.0)
        turn = heading + generator.uniform(-0.5, 0.5)
        if kind == "pillar":
            size = np.array([0.8, 0.8, generator.uniform(2.0, 2.7)])
            sides = [poster(textures, 0.8, float(size[2]), generator) for _ in range(4)]
            surfaces += _box(place, turn, size, sides, steel)
        elif kind == "lamp":
            surfaces += _box(place, turn, np.array([0.14, 0.14, 5.0]), [steel] * 4)
        else:
            for offset in (0.0, 1.0):
                edge = generator.uniform(0.5, 0.9)
                sides = [poster(textures, edge, edge, generator, border=0.1) for _ in range(5)]
                away = offset * np.array([np.cos(heading), np.sin(heading)])
                surfaces += _box(place + away, turn + offset, np.array([edge] * 3), sides[:4], sides[4])
    return surfaces


def _scenery(path: Path, picture: Image) -> list[Surface]:
    """Mountains all around, every other picture mirrored so that neighbours meet in the same colours."""
    centre = (path.points.min(0) + path.points.max(0)) / 2
    count = 12
    angles = 2 * np.pi * np.arange(count + 1) / count
    ring = centre + SCENERY_DISTANCE * np.stack([np.cos(angles), np.sin(angles)], 1)
    wall_width = float(np.linalg.norm(ring[1] - ring[0]))
    height = wall_width * picture.shape[0] / picture.shape[1]
    both = (picture, np.ascontiguousarray(picture[:, ::-1]))
    # Seen from inside, going round counter-clockwise is going left.
    return [
        Surface(
            np.array([*ring[number + 1], height - 12.0]),
            np.array([*(ring[number] - ring[number + 1]), 0.0]),
            -height * UP,
            both[number % 2],
        )
        for number in range(count)
    ]


def _under_sky(picture: Image) -> tuple[Image, tuple[int, int, int]]:
    """A landscape whose upper fifth fades into one colour, and that colour (BGR): the sky goes on above it."""
    rows = picture.shape[0]
    colour = np.rint(picture[: rows // 12].mean((0, 1)))
    share = np.clip(1.1 - np.arange(rows) / (rows / 5), 0, 1)[:, None, None]
    faded = np.rint(picture * (1 - share) + colour * share).astype(np.uint8)
    blue, green, red = (int(value) for value in colour)
    return faded, (blue, green, red)


def room(seed: int = 0, textures: Textures | None = None) -> World:
    """A room of 7 x 6 x 2.8 metres about the origin, with pictures on its walls and boxes on its floor.

    :param textures: None takes the pictures that come with the package.
    """
    textures = textures or load_textures()
    generator = np.random.default_rng(seed)
    width, depth, height = 7.0, 6.0, 2.8
    corners = [np.array([x * width / 2, y * depth / 2]) for x, y in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    surfaces = []
    for number in range(4):
        left, right = corners[number], corners[(number + 1) % 4]
        wall = _gallery(textures, float(np.linalg.norm(right - left)), height, generator)
        surfaces.append(_upright(left, right, height, wall))
    texels = 100.0
    size = (pixels(depth, texels), pixels(width, texels))
    floor = coloured(bricks(textures, size, texels, generator, 1.2), stains(size, 0.15, generator), (110, 140, 175))
    plaster = repeated(textures.gravel, size, texels, 3.0, generator, contrast=0.15)
    ceiling = coloured(plaster, stains(size, 0.05, generator), (225, 228, 230))
    along = np.array([width, 0.0, 0.0])
    surfaces.append(Surface(np.array([-width / 2, depth / 2, 0.0]), along, np.array([0.0, -depth, 0.0]), floor))
    surfaces.append(Surface(np.array([-width / 2, -depth / 2, height]), along, np.array([0.0, depth, 0.0]), ceiling))
    for _ in range(7):
        angle, distance = generator.uniform(-1.3, 1.3), generator.uniform(1.6, 2.6)
        size_box = generator.uniform([0.3, 0.3, 0.4], [0.7, 0.7, 1.5])
        sides = [poster(textures, 0.6, float(size_box[2]), generator, border=0.04) for _ in range(5)]
        place = distance * np.array([np.cos(angle), np.sin(angle)])
        surfaces += _box(place, generator.uniform(0, 3), size_box, sides[:4], sides[4])
    return World(tuple(surfaces))


def _gallery(textures: Textures, width: float, height: float, generator: np.random.Generator) -> Image:
    """A plastered wall with framed photographs."""
    texels = 110.0
    size = (pixels(height, texels), pixels(width, texels))
    plaster = repeated(textures.gravel, size, texels, 2.5, generator, contrast=0.2)
    wall = coloured(plaster, stains(size, 0.08, generator), (205, 215, 220))
    left = 0.25
    while left < width - 0.9:
        across, up = generator.uniform(0.6, 1.3), generator.uniform(0.6, 1.4)
        across = min(across, width - left - 0.2)
        picture = poster(textures, across, up, generator, border=0.05)
        x, y = pixels(left, texels), pixels(generator.uniform(0.3, height - up - 0.4), texels)
        picture = cv2.resize(picture, (pixels(across, texels), pixels(up, texels)), interpolation=cv2.INTER_AREA)
        wall[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        left += across + generator.uniform(0.2, 0.6)
    return wall
