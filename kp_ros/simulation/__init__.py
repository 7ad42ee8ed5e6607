"""A small deterministic renderer: worlds of flat, photograph-textured surfaces with exact pose and depth.

    world = street(drive(seconds=10.0), seed=1)

The demonstration, the tests and the training make their images with it. World frame: x east, y north, z up (REP 103);
camera frame: x right, y down, z forward; pixels as everywhere in kp_ros.
"""

from kp_ros.simulation.imaging import Imaging, photograph
from kp_ros.simulation.rendering import RenderedFrame, render, render_depth
from kp_ros.simulation.scenes import room, street
from kp_ros.simulation.textures import Textures, load_textures
from kp_ros.simulation.trajectory import Trajectory, drive, orbit
from kp_ros.simulation.world import Surface, World

__all__ = [
    "Imaging",
    "RenderedFrame",
    "Surface",
    "Textures",
    "Trajectory",
    "World",
    "drive",
    "load_textures",
    "orbit",
    "photograph",
    "render",
    "render_depth",
    "room",
    "street",
]
