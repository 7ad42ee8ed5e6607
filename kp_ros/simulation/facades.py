"""Textures made from pictures: walls of brick, houses with windows and shops, posters."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.simulation.textures import Image, Textures

#: Texels a metre of what a camera may come near to.
WALL_TEXELS = 72.0
STOREY = 2.9
SHOP_HEIGHT = 3.4
#: BGR of bricks, plasters and paints.
WALL_COLOURS = ((92, 110, 168), (120, 150, 190), (165, 190, 205), (150, 165, 150), (185, 170, 150), (110, 125, 140))
FRAME_COLOURS = ((235, 238, 240), (60, 62, 66), (60, 90, 60), (90, 60, 50))


def pixels(metres: float, texels: float = WALL_TEXELS) -> int:
    """How many texels a length takes; at least one."""
    return max(1, round(metres * texels))


def shaded(texture: Image, light: float) -> Image:
    """A texture under less (below 1) or more light."""
    return np.asarray(cv2.convertScaleAbs(texture, alpha=light), np.uint8)


def _cloud(size: tuple[int, int], cell: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise [H, W] of mean 0 and standard deviation 1, over cells of so many texels."""
    grid = generator.standard_normal((int(size[0] / cell) + 3, int(size[1] / cell) + 3)).astype(np.float32)
    return np.asarray(cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _tiled(material: Image, size: tuple[int, int], side: int, generator: np.random.Generator) -> Image:
    """A material of ``side`` texels, mirrored at its edges and repeated from some place on."""
    interpolation = cv2.INTER_AREA if side < material.shape[0] else cv2.INTER_LINEAR
    tile = cv2.resize(material, (side, side), interpolation=interpolation)
    tile = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    top, left = generator.integers(0, 2 * side, 2)
    rows, columns = (np.arange(size[0]) + top) % (2 * side), (np.arange(size[1]) + left) % (2 * side)
    return np.asarray(np.take(tile[rows], columns, axis=1), np.uint8)


def repeated(
    material: Image,
    size: tuple[int, int],
    texels: float,
    metres: float,
    generator: np.random.Generator,
    contrast: float = 1.0,
) -> Image:
    """A material that covers any size and looks alike nowhere: two layers of it, at unlike scales, one of them turned.

    :param material: uint8 [h, w].
    :param size: rows and columns to cover.
    :param metres: of the material's own width.
    :param contrast: below 1, it is nearer to its mean.
    :returns: uint8 [H, W], of the material's mean brightness.
    """
    first = _tiled(material, size, pixels(metres, texels), generator)
    second = _tiled(np.rot90(material), size, pixels(1.37 * metres, texels), generator)
    share = np.clip(0.5 + 0.8 * _cloud(size, 0.8 * texels, generator), 0, 1)
    blended = cv2.blendLinear(first, second, share, 1 - share)
    return np.asarray(cv2.addWeighted(blended, contrast, blended, 0, (1 - contrast) * float(material.mean())), np.uint8)


def stains(size: tuple[int, int], strength: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """What a texture is multiplied by so that every place looks its own: lighter and darker spots of all sizes.

    :param strength: standard deviation, as a share.
    :returns: float32 [H, W], about 1.
    """
    gain = np.ones(size, np.float32)
    for cell, weight in ((220.0, 0.6), (60.0, 0.55), (17.0, 0.45)):
        gain += np.float32(strength * weight) * _cloud(size, cell, generator)
    return gain


def coloured(grey: Image, gain: NDArray[np.float32], colour: tuple[int, int, int]) -> Image:
    """A grey texture [H, W], times a gain, in a colour.

    :param colour: BGR, of the texture's mean.
    :returns: uint8 [H, W, 3], BGR.
    """
    light = cv2.multiply(grey, gain, scale=1 / max(1.0, float(grey.mean())), dtype=cv2.CV_32F)
    return np.asarray(cv2.merge([cv2.convertScaleAbs(light, alpha=part) for part in colour]), np.uint8)


def bricks(
    textures: Textures, size: tuple[int, int], texels: float, generator: np.random.Generator, metres: float = 1.6
) -> Image:
    """Plain bricks, uint8 [H, W], grey.

    :param metres: of the brick picture's width.
    """
    return _tiled(textures.brick, size, pixels(metres, texels), generator)


def _crop(textures: Textures, width: int, height: int, generator: np.random.Generator) -> Image:
    """A part of some photograph, in the wanted shape and size."""
    photograph = textures.photographs[int(generator.integers(len(textures.photographs)))]
    rows, columns = photograph.shape[:2]
    scale = min(columns / width, rows / height) * generator.uniform(0.55, 1.0)
    across, up = max(1, int(width * scale)), max(1, int(height * scale))
    x, y = int(generator.integers(columns - across + 1)), int(generator.integers(rows - up + 1))
    part = photograph[y : y + up, x : x + across]
    if generator.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=interpolation), np.uint8)


def poster(
    textures: Textures, width: float, height: float, generator: np.random.Generator, border: float = 0.06
) -> Image:
    """A photograph in a frame, sizes in metres."""
    texels = 1.6 * WALL_TEXELS
    image = _crop(textures, pixels(width, texels), pixels(height, texels), generator)
    colour = FRAME_COLOURS[int(generator.integers(len(FRAME_COLOURS)))]
    edge = pixels(border, texels)
    cv2.rectangle(image, (0, 0), (image.shape[1] - 1, image.shape[0] - 1), colour, 2 * edge - 1)
    return image


def _window(textures: Textures, width: float, height: float, generator: np.random.Generator) -> Image:
    """Panes that mirror something, a frame, a sill."""
    image = shaded(_crop(textures, pixels(width), pixels(height), generator), 0.55)
    colour = FRAME_COLOURS[int(generator.integers(len(FRAME_COLOURS)))]
    rows, columns = image.shape[:2]
    edge = pixels(0.07)
    cv2.rectangle(image, (0, 0), (columns - 1, rows - 1), colour, 2 * edge - 1)
    cv2.line(image, (columns // 2, 0), (columns // 2, rows), colour, edge)
    if generator.random() < 0.6:
        cv2.line(image, (0, rows // 3), (columns, rows // 3), colour, edge)
    return image


def _put(wall: Image, picture: Image, left: float, top: float) -> None:
    """Hangs a picture on a wall with its shadow, metres from the top-left corner."""
    x, y = pixels(left), pixels(top)
    rows, columns = picture.shape[:2]
    shadow = wall[y : y + rows + pixels(0.10), x : x + columns + pixels(0.05)]
    shadow[:] = shaded(shadow, 0.6)
    place = wall[y : y + rows, x : x + columns]
    place[:] = picture[: place.shape[0], : place.shape[1]]


def facade(textures: Textures, width: float, height: float, generator: np.random.Generator, shop: bool = True) -> Image:
    """One side of a house: bricks or plaster, rows of windows, a cornice and, at the street, a shop.

    :param width: metres.
    :param height: metres; a shop and then whole storeys.
    """
    size = (pixels(height), pixels(width))
    colour = WALL_COLOURS[int(generator.integers(len(WALL_COLOURS)))]
    if generator.random() < 0.65:
        material = bricks(textures, size, WALL_TEXELS, generator)
    else:
        material = repeated(textures.gravel, size, WALL_TEXELS, 2.0, generator, contrast=0.35)
    wall = coloured(material, stains(size, 0.14, generator), colour)
    wall[: pixels(0.35)] = shaded(wall[: pixels(0.35)], 1.3)
    wall[pixels(0.35) : pixels(0.45)] = shaded(wall[pixels(0.35) : pixels(0.45)], 0.5)

    columns = max(1, int((width - 0.6) / 2.1))
    pitch = width / columns
    across, up = generator.uniform(1.0, 1.3), generator.uniform(1.5, 1.9)
    storeys = round((height - SHOP_HEIGHT) / STOREY)
    painted = shop and storeys >= 1 and generator.random() < 0.3
    for storey in range(storeys):
        for column in range(columns):
            if painted or generator.random() < 0.08:
                continue
            picture = _window(textures, across, up, generator)
            _put(wall, picture, column * pitch + (pitch - across) / 2, storey * STOREY + 0.75)
    if painted:
        _put(wall, poster(textures, (width - 1.2) / 1.6, (STOREY * storeys - 0.7) / 1.6, generator), 0.6, 0.6)
    base = height - SHOP_HEIGHT
    if shop:
        glass = _crop(textures, pixels(0.62 * width), pixels(2.2), generator)
        cv2.rectangle(glass, (0, 0), (glass.shape[1] - 1, glass.shape[0] - 1), (50, 48, 46), pixels(0.12))
        _put(wall, glass, 0.05 * width, base + 0.85)
        sign = shaded(_crop(textures, pixels(0.62 * width), pixels(0.5), generator), 1.1)
        _put(wall, sign, 0.05 * width, base + 0.25)
        _put(wall, _window(textures, 1.05, 2.3, generator), 0.74 * width, base + 1.05)
    else:
        _put(wall, poster(textures, 1.2 / 1.6, 1.7 / 1.6, generator), (width - 1.2) / 2, base + 1.0)
    # Rain splashes dirt up the foot of every wall.
    foot = np.linspace(1.0, 0.62, pixels(0.7), dtype=np.float32)[:, None, None]
    wall[-len(foot) :] = np.rint(wall[-len(foot) :] * foot).astype(np.uint8)
    return wall
