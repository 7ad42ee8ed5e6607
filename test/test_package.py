"""What pip installs, and that the manifests of ROS and of pip tell of the same package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package
from test_imports import imports, is_ros

import kp_ros

CHECKOUT = Path(__file__).resolve().parents[1]

#: Each library that the runtime may import: its name at PyPI and its key in rosdistro's rosdep/python.yaml. Looked up
#: there in August 2026; onnx has no key, so the README tells ROS users to install it with pip.
LIBRARIES = {
    "cv2": ("opencv-python-headless", "python3-opencv"),
    "google": ("protobuf", "python3-protobuf"),
    "lz4": ("lz4", "mcap-ros2-support"),
    "mcap": ("mcap", "mcap-ros2-support"),
    "numpy": ("numpy", "python3-numpy"),
    "onnx": ("onnx", None),
    "onnxruntime": ("onnxruntime", "python3-onnxruntime-pip"),
    "rich": ("rich", "python3-rich"),
    "rosbags": ("rosbags", "python3-rosbags-pip"),
    "typer": ("typer", "python3-typer"),
    "yaml": ("pyyaml", "python3-yaml"),
    "zstandard": ("zstandard", "mcap-ros2-support"),
}
#: Backends and adapters of the field: imported only when a user chose them and has them.
OPTIONAL = {"openvino", "tensorrt", "tensorrt_rtx", "cuda", "poselib", "gtsam", "matplotlib"}


#: Names at PyPI that are not those of the module.
PYPI_NAMES = {module: name for module, (name, _) in LIBRARIES.items()} | {
    "PIL": "pillow",
    "catkin_pkg": "colcon-common-extensions",
    "markupsafe": "jinja2",
    "yaml": "pyyaml",
}


def third_party(folder: str) -> set[str]:
    """Modules that the sources under a folder import and that are neither Python's nor ours."""
    files = list((CHECKOUT / folder).rglob("*.py"))
    modules = {found.module.split(".")[0] for file in files for found in imports(file.read_text())}
    ours = {"kp_ros", "training", "benchmarks", "test", ""}
    ours |= {file.stem for file in files} if folder == "test" else set()
    return modules - set(sys.stdlib_module_names) - ours


def runtime_imports() -> set[str]:
    return third_party("kp_ros")


@pytest.fixture(scope="module")
def manifest():  # type: ignore[no-untyped-def]
    return parse_package(str(CHECKOUT / "package.xml"))


def test_the_manifest_is_valid_and_of_format_3(manifest) -> None:  # type: ignore[no-untyped-def]
    manifest.validate()
    assert manifest.package_format == 3
    assert manifest.get_build_type() == "ament_python"
    assert manifest.licenses == ["Apache-2.0"]
    assert "Apache License" in (CHECKOUT / "LICENSE").read_text()


def test_every_version_is_the_same(manifest) -> None:  # type: ignore[no-untyped-def]
    assert manifest.version == kp_ros.__version__
    assert f"\n{kp_ros.__version__} (" in (CHECKOUT / "CHANGELOG.rst").read_text()


def test_the_manifest_names_what_the_runtime_imports(manifest) -> None:  # type: ignore[no-untyped-def]
    declared = {dependency.name for dependency in manifest.exec_depends}
    used = runtime_imports()
    ros = {module for module in used if is_ros(module)}
    # The package of the Python module tf2_ros.
    assert {"tf2_ros_py" if module == "tf2_ros" else module for module in ros} <= declared
    libraries = used - ros - OPTIONAL
    assert libraries == set(LIBRARIES), "bring setup.py, package.xml and LIBRARIES up to date"
    assert {LIBRARIES[name][1] for name in libraries} - {None} <= declared


def test_every_key_of_the_manifest_is_known_to_rosdistro(manifest) -> None:  # type: ignore[no-untyped-def]
    keys = {dependency.name for dependency in manifest.exec_depends}
    assert {key for key in keys if not is_ros(key)} <= {key for _, key in LIBRARIES.values()}


@pytest.fixture(scope="module")
def wheel(source_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source_copy]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


def test_a_wheel_holds_what_the_checkout_holds(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    shared = {name.split(".data/data/", 1)[1] for name in held if ".data/data/" in name}
    assert {"share/ament_index/resource_index/packages/kp_ros", "share/kp_ros/package.xml"} <= shared
    for folder, pattern in (("models", "*.onnx"), ("models", "*.md"), ("launch", "*.launch.py"), ("config", "*")):
        for file in (CHECKOUT / folder).glob(pattern):
            assert f"share/kp_ros/{folder}/{file.name}" in shared
    for file in (CHECKOUT / "kp_ros").rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            assert str(file.relative_to(CHECKOUT)) in held
    assert not [name for name in held if name.startswith(("training/", "test/"))]


@pytest.fixture(scope="module")
def requirements(wheel: Path) -> dict[str, set[str]]:
    """Extra -> what it asks for; the base under an empty name. Versions are left out."""
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE):
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra == ['"](\w+)['"]""", line)
        assert name
        found.setdefault(extra[1] if extra else "", set()).add(name[0].lower())
    return found


def test_the_base_asks_for_what_the_runtime_imports(requirements: dict[str, set[str]]) -> None:
    assert requirements[""] == {name for name, _ in LIBRARIES.values()}
    assert set(requirements) == {"", "ros", "odometry", "gpu", "train", "eval", "dev"}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("training", ("", "train", "eval")),
        ("benchmarks", ("", "train", "eval")),
        ("test", ("", "train", "eval", "dev")),
    ],
)
def test_the_extras_hold_what_is_imported(
    requirements: dict[str, set[str]], folder: str, extras: tuple[str, ...]
) -> None:
    asked = set().union(*(requirements[extra] for extra in extras))
    modules = {module for module in third_party(folder) if not is_ros(module)}
    assert {PYPI_NAMES.get(module, module.replace("_", "-")) for module in modules} <= asked


def test_pip_puts_the_command_on_the_path(wheel: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True, timeout=120)
    install = [sys.executable, "-m", "pip", "--python", prefix / "bin" / "python", "install", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    assert (prefix / "bin" / "keypoint_node").is_file()
    assert not (prefix / "lib" / "kp_ros").exists()
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    command = [prefix / "bin" / "kp_ros", "--version"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == kp_ros.__version__, run.stderr
    code = "import kp_ros.resources as r; print(r.models_directory())"
    found = subprocess.run(
        [prefix / "bin" / "python", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.strip() == str(prefix / "share" / "kp_ros" / "models"), found.stderr
