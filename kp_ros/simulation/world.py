"""What there is to see: flat surfaces, each with its texture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from kp_ros.simulation.textures import Image

Vector = NDArray[np.float64]

#: Texels repeated around a texture at every level: bilinear sampling at its rim never reads a neighbour.
MARGIN = 2
ATLAS_WIDTH = 8192
#: OpenCV's remap cannot address more rows or columns.
ATLAS_LIMIT = 32766


@dataclass(frozen=True)
class Surface:
    """A textured parallelogram, seen from its front only.

    :ivar corner: float64 [3], world metres: the outer corner of the texture's top-left pixel.
    :ivar right: float64 [3], metres: from there to the outer corner of the top-right pixel.
    :ivar down: float64 [3], metres: from ``corner`` to the outer corner of the bottom-left pixel.
    :ivar texture: uint8 [h, w, 3], BGR, light included.
    """

    corner: Vector
    right: Vector
    down: Vector
    texture: Image

    @property
    def normal(self) -> Vector:
        """float64 [3], of unit length, towards whoever sees the front."""
        across = np.cross(self.down, self.right)
        return np.asarray(across / np.linalg.norm(across), np.float64)


@dataclass(frozen=True)
class Atlas:
    """Every texture at every resolution, side by side in one image: a frame is then one look-up.

    :ivar image: uint8 [H, W, 3], BGR.
    :ivar origin_x: float32 [surfaces, levels], the column where the texture begins at a level (2^-level of its size).
    :ivar origin_y: float32 [surfaces, levels], the row.
    """

    image: Image
    origin_x: NDArray[np.float32]
    origin_y: NDArray[np.float32]

    @property
    def levels(self) -> int:
        """How many resolutions there are."""
        return int(self.origin_x.shape[1])


@dataclass(frozen=True, eq=False)
class Geometry:
    """Every surface's shape, for arithmetic on all of them at once.

    :ivar corner: float64 [S, 3], world metres.
    :ivar texel: float64 [S, 3, 2], metres: one texel to the right and one down.
    :ivar normal: float64 [S, 3].
    :ivar size: float64 [S, 2], texels across and down.
    """

    corner: Vector
    texel: Vector
    normal: Vector
    size: Vector


@dataclass(frozen=True, eq=False)
class World:
    """Surfaces under a sky.

    :ivar surfaces: in any order; where two lie in one plane, which is seen is not defined.
    :ivar zenith: BGR of the sky overhead.
    :ivar horizon: BGR of the sky at the horizon, and of the haze.
    :ivar haze: 1 / metres: what is ``1 / haze`` away has lost 63 % of its contrast; 0 is clear air.
    """

    surfaces: tuple[Surface, ...]
    zenith: tuple[int, int, int] = (210, 150, 90)
    horizon: tuple[int, int, int] = (235, 225, 215)
    haze: float = 0.0

    @cached_property
    def geometry(self) -> Geometry:
        """The shapes of the surfaces, in their order."""
        size = np.array([surface.texture.shape[1::-1] for surface in self.surfaces], np.float64).reshape(-1, 2)
        edges = np.array([[surface.right, surface.down] for surface in self.surfaces]).reshape(-1, 2, 3)
        return Geometry(
            corner=np.array([surface.corner for surface in self.surfaces]).reshape(-1, 3),
            texel=np.swapaxes(edges, 1, 2) / size[:, None],
            normal=np.array([surface.normal for surface in self.surfaces]).reshape(-1, 3),
            size=size,
        )

    @cached_property
    def atlas(self) -> Atlas:
        """Made once, when the first frame asks for it. Surfaces that share a texture share its place."""
        textures = {id(surface.texture): surface.texture for surface in self.surfaces}
        longest = max((max(texture.shape[:2]) for texture in textures.values()), default=1)
        levels = max(1, int(longest).bit_length() - 2)
        pieces = [
            (key, level, reduced)
            for key, texture in textures.items()
            for level, reduced in enumerate(_reductions(texture, levels))
        ]
        pieces.sort(key=lambda piece: -piece[2].shape[0])
        places, height = _pack([piece[2].shape[:2] for piece in pieces])
        image = np.zeros((height, ATLAS_WIDTH, 3), np.uint8)
        where: dict[tuple[int, int], tuple[int, int]] = {}
        for (key, level, reduced), (x, y) in zip(pieces, places, strict=True):
            image[y : y + reduced.shape[0], x : x + reduced.shape[1]] = reduced
            where[key, level] = (x + MARGIN, y + MARGIN)
        origins = np.array(
            [[where[id(surface.texture), level] for level in range(levels)] for surface in self.surfaces], np.float32
        ).reshape(-1, levels, 2)
        return Atlas(image, np.ascontiguousarray(origins[..., 0]), np.ascontiguousarray(origins[..., 1]))


def _reductions(texture: Image, levels: int) -> list[Image]:
    """A texture at 1, 1/2, 1/4 ... of its size (area-averaged), each with a margin."""
    height, width = texture.shape[:2]
    reduced = [texture]
    for level in range(1, levels):
        # Rounding up and filling the rim keeps every level's texel grid at exactly 2^-level of the first one's.
        last = reduced[-1]
        even = cv2.copyMakeBorder(last, 0, last.shape[0] % 2, 0, last.shape[1] % 2, cv2.BORDER_REPLICATE)
        size = (-(-width // 2**level), -(-height // 2**level))
        reduced.append(np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8))
    margins = (MARGIN, MARGIN, MARGIN, MARGIN)
    return [np.asarray(cv2.copyMakeBorder(image, *margins, cv2.BORDER_REPLICATE), np.uint8) for image in reduced]


def _pack(sizes: list[tuple[int, ...]]) -> tuple[list[tuple[int, int]], int]:
    """Places rectangles, tallest first, in rows.

    :returns: the x y of each, and the height of all.
    :raises ValueError: they do not fit into what OpenCV can address.
    """
    places: list[tuple[int, int]] = []
    x, y, row = 0, 0, 0
    for height, width in sizes:
        if width > ATLAS_WIDTH:
            raise ValueError(f"a texture may be at most {ATLAS_WIDTH - 2 * MARGIN} pixels wide, this one is {width}")
        if x + width > ATLAS_WIDTH:
            x, y, row = 0, y + row, 0
        places.append((x, y))
        x += width
        row = max(row, height)
    if y + row > ATLAS_LIMIT:
        raise ValueError("the world's textures are too many or too large; give it fewer texels a metre")
    return places, y + row
