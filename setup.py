"""Installs kp_ros with pip and, as an ament_python package, with colcon."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

# With --symlink-install colcon runs this file from its build folder, which has links to the data files alone.
source = Path(__file__).resolve().parent
manifest = ElementTree.parse(source / "package.xml").getroot()


def files(folder: str, *patterns: str) -> tuple[str, list[str]]:
    """What is installed from one folder, as setuptools' data_files has it."""
    found = {str(path) for pattern in patterns for path in Path(folder).glob(pattern)}
    return f"share/kp_ros/{folder}", sorted(found)


setup(
    name="kp_ros",
    version=manifest.findtext("version"),
    description=manifest.findtext("description"),
    long_description=(source / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["kp_ros", "kp_ros.*"]),
    package_data={"kp_ros": ["py.typed"], "kp_ros.simulation": ["TEXTURES.md", "pictures/*.jpg"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/kp_ros"]),
        ("share/kp_ros", ["package.xml"]),
        files("config", "*"),
        files("launch", "*.launch.py"),
        files("models", "*.onnx", "*.md"),
    ],
    zip_safe=False,
    install_requires=[
        "numpy",
        "onnx",
        "onnxruntime",
        "opencv-python-headless",
        "rosbags",
        "mcap",
        "lz4",
        "zstandard",
        "typer",
        "rich",
        "protobuf",
        "pyyaml",
    ],
    extras_require={
        "ros": ["ros-rclpy", "ros-rmw-fastrtps-cpp", "ros-common-interfaces"],
        # GTSAM's wheels for Python 3.10 are of version 4.2, which wants NumPy 1; without it, odometry has no window.
        "odometry": ["poselib", "gtsam>=4.3; python_version >= '3.11' and python_version < '3.14'"],
        "gpu": ["cuda-python", "tensorrt-rtx-cu13; platform_machine == 'x86_64'"],
        "train": [
            "torch",
            "h5py",
            "lightning-fabric",
            "omegaconf",
            "onnxscript",
            "pillow",
            "poselib",
            "pyyaml",
            "scipy",
            "tensorboard",
            "tqdm",
            "webdataset",
        ],
        "eval": ["evo", "jinja2", "matplotlib"],
        "dev": [
            "ruff>=0.17,<0.18",
            "mypy>=2.4,<2.5",
            "types-protobuf",
            "types-PyYAML",
            "pyyaml",
            "pytest",
            "pytest-xdist",
            "pytest-timeout",
            "setuptools<80",
            "colcon-common-extensions",
            "openvino",
            "cuda-python",
            "tensorrt-rtx-cu13; platform_machine == 'x86_64'",
        ],
    },
    entry_points={
        "console_scripts": [
            "kp_ros = kp_ros.cli:main",
            "keypoint_node = kp_ros.ros.keypoint_node:main",
            "odometry_node = kp_ros.ros.odometry_node:main",
        ],
    },
)
