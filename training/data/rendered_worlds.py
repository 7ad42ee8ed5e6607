"""The demonstration's worlds as sequences: as many as asked for, no two alike, with exact pose and depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from kp_ros.camera import Camera
from kp_ros.simulation import (
    Imaging,
    Textures,
    Trajectory,
    World,
    drive,
    load_textures,
    orbit,
    photograph,
    render_depth,
    room,
    street,
)
from training.data.sequence import Depth, Image, Sequence

#: Worlds that a process keeps: one holds up to some hundred megabytes of textures.
WORLDS_KEPT = 2


@dataclass(frozen=True)
class RenderedSettings:
    """What the worlds have in common; everything else is drawn from each world's seed.

    :ivar width: of the images, pixels.
    :ivar height: likewise.
    :ivar frames: of each sequence.
    :ivar rate: frames a second.
    :ivar rooms: share of rooms that a camera is carried through; the other worlds are streets that one drives along.
    :ivar photographs: folder of photographs to hang on the walls; None takes those of the package.
    """

    width: int = 320
    height: int = 240
    frames: int = 60
    rate: float = 10.0
    rooms: float = 0.5
    photographs: Path | None = None


@dataclass(frozen=True)
class RenderedWorld:
    """One world by its number; it is built when its first frame is asked for.

    :ivar settings: of all worlds.
    :ivar seed: of all worlds.
    :ivar number: of this one.
    """

    settings: RenderedSettings
    seed: int
    number: int

    @property
    def is_room(self) -> bool:
        """Whether it is a room, not a street."""
        rooms = self.settings.rooms
        return int((self.number + 1) * rooms + 1e-9) > int(self.number * rooms + 1e-9)


@dataclass(frozen=True, eq=False)
class _Scene:
    camera: Camera
    trajectory: Trajectory
    imaging: Imaging


@dataclass(frozen=True)
class RenderedImages:
    """Loads images: as a camera with noise, changing exposure and a shutter takes them."""

    world: RenderedWorld

    def __call__(self, index: int) -> Image:
        """uint8 [H, W, 3], BGR."""
        scene = _scene(self.world)
        return photograph(_built(self.world), scene.camera, scene.trajectory, index, scene.imaging).image


@dataclass(frozen=True)
class RenderedDepth:
    """Loads exact depth."""

    world: RenderedWorld

    def __call__(self, index: int) -> Depth:
        """float32 [H, W], metres, infinite in the sky."""
        scene = _scene(self.world)
        return render_depth(_built(self.world), scene.camera, scene.trajectory.poses[index])


@dataclass(frozen=True)
class RenderedWorlds:
    """Sequences by number.

    :ivar count: how many.
    :ivar seed: equal seeds give equal worlds; evaluate on another one than you train on.
    :ivar settings: what they have in common.
    """

    count: int
    seed: int = 0
    settings: RenderedSettings = field(default_factory=RenderedSettings)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Sequence:
        if not 0 <= number < self.count:
            raise IndexError(f"there are {self.count} worlds, not {number + 1}")
        world = RenderedWorld(self.settings, self.seed, number)
        scene = _scene(world)
        count = len(scene.trajectory)
        return Sequence(
            name=f"{'room' if world.is_room else 'street'}_{self.seed}_{number:03}",
            frame_names=tuple(f"{index:04}" for index in range(count)),
            stamps_ns=scene.trajectory.stamps_ns,
            load_image=RenderedImages(world),
            cameras=(scene.camera,) * count,
            poses=scene.trajectory.poses,
            load_depth=RenderedDepth(world),
        )


@lru_cache(maxsize=256)
def _scene(world: RenderedWorld) -> _Scene:
    settings = world.settings
    generator = np.random.default_rng([world.seed, world.number])
    focal = settings.width / 2 / np.tan(np.radians(generator.uniform(50, 85)) / 2)
    centre = (settings.width - 1) / 2, (settings.height - 1) / 2
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    camera = Camera(settings.width, settings.height, matrix, np.zeros(0))
    seconds = settings.frames / settings.rate
    if world.is_room:
        trajectory = orbit(
            seconds,
            settings.rate,
            radius=float(generator.uniform(0.3, 0.8)),
            sweep=float(generator.uniform(25, 70)),
            height=float(generator.uniform(1.0, 1.7)),
        )
    else:
        bends = generator.uniform(30, 80, 2) * generator.choice([-1, 1])
        trajectory = drive(
            seconds,
            settings.rate,
            speed=float(generator.uniform(2.5, 7.0)),
            turns=(
                (float(generator.uniform(6, 14)), 18.0, bends[0]),
                (float(generator.uniform(33, 40)), 16.0, -bends[1]),
            ),
            height=float(generator.uniform(0.8, 1.9)),
        )
    imaging = Imaging(
        noise=float(generator.uniform(0, 4)),
        shutter=float(generator.choice([0.0, 0.0, 0.01])),
        exposure_swing=float(generator.uniform(0, 0.25)),
        light_swing=float(generator.uniform(0, 0.1)),
        seed=int(generator.integers(2**31)),
    )
    return _Scene(camera, trajectory, imaging)


@lru_cache(maxsize=WORLDS_KEPT)
def _built(world: RenderedWorld) -> World:
    textures: Textures = load_textures(world.settings.photographs)
    seed = int(np.random.default_rng([world.seed, world.number, 1]).integers(2**31))
    return room(seed, textures) if world.is_room else street(_scene(world).trajectory, seed, textures)
