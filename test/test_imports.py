"""Who may import whom: the robot needs no torch, the training no ROS, and only kp_ros/ros knows rclpy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ROS_PACKAGES = {
    "rclpy",
    "ament_index_python",
    "cv_bridge",
    "launch",
    "launch_ros",
    "builtin_interfaces",
    "rcl_interfaces",
    "std_srvs",
    "tf2_ros",
    "tf2_ros_py",
}
#: What the training may not use of the runtime: what talks to ROS, and its commands.
RUNTIME_SHELL = ("kp_ros.ros", "kp_ros.cli", "kp_ros.commands")
#: But both command lines have the same progress bars and say the same way what went wrong.
SHARED_SHELL = ("kp_ros.commands.progress", "kp_ros.commands.reporting")


class Import(NamedTuple):
    module: str
    line: int
    #: Not inside a function: it runs when the file is imported.
    at_import: bool


def imports(source: str, package: str = "") -> Iterator[Import]:
    """Every module that a source file imports, relative ones resolved against its package."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, node.lineno, at_import)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                yield Import(f"{module}.{name.name}", node.lineno, at_import)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        type_only = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_import and not inside and not type_only)

    yield from visit(ast.parse(source), True)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def is_ros(module: str) -> bool:
    top = module.split(".")[0]
    return top in ROS_PACKAGES or top.endswith("_msgs")


def broken_rules(file: str, source: str) -> list[str]:
    """What a file imports that it may not, as `file:line imports module`.

    :param file: path inside the repository, with slashes.
    """
    path = Path(file)
    in_ros = file.startswith("kp_ros/ros/")
    package = ".".join(path.parent.parts)

    def allowed(found: Import) -> bool:
        if file.startswith("training/"):
            shell = within(found.module, RUNTIME_SHELL) and not within(found.module, SHARED_SHELL)
            return not is_ros(found.module) and not shell
        if within(found.module, ("torch", "training", "evo")):
            return False
        if is_ros(found.module):
            return in_ros
        # The command line works without ROS: what it needs of kp_ros.ros it imports when it needs it.
        return in_ros or not (found.at_import and within(found.module, ("kp_ros.ros",)))

    return [f"{file}:{found.line} imports {found.module}" for found in imports(source, package) if not allowed(found)]


SOURCES = sorted(
    str(path.relative_to(CHECKOUT)) for folder in ("kp_ros", "training") for path in (CHECKOUT / folder).rglob("*.py")
)


def test_there_are_sources_of_both_halves() -> None:
    assert "kp_ros/frontend.py" in SOURCES
    assert any(file.startswith("training/") for file in SOURCES)


@pytest.mark.parametrize("file", SOURCES)
def test_imports(file: str) -> None:
    assert not broken_rules(file, (CHECKOUT / file).read_text())


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("kp_ros/frontend.py", "import torch"),
        ("kp_ros/frontend.py", "def f():\n    from torch.nn import functional"),
        ("kp_ros/detectors/a.py", "from training.networks import encoder"),
        ("kp_ros/ros/node.py", "import torch"),
        ("kp_ros/frontend.py", "import rclpy"),
        ("kp_ros/commands/replay.py", "from sensor_msgs.msg import Image"),
        ("kp_ros/commands/replay.py", "from kp_ros.ros import publisher"),
        ("kp_ros/commands/replay.py", "from ..ros import publisher"),
        ("kp_ros/commands/evaluate.py", "def f():\n    import evo.core"),
        ("training/train.py", "import rclpy.node"),
        ("training/train.py", "def f():\n    from sensor_msgs import msg"),
        ("training/train.py", "from kp_ros import ros"),
        ("training/train.py", "import kp_ros.cli"),
        ("training/train.py", "from kp_ros.commands import replay"),
    ],
)
def test_what_breaks_a_rule_is_found(file: str, source: str) -> None:
    assert len(broken_rules(file, source)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("kp_ros/ros/node.py", "import rclpy\nfrom sensor_msgs.msg import Image\nfrom kp_ros.ros import parameters"),
        ("kp_ros/commands/replay.py", "def f():\n    from kp_ros.ros import publisher"),
        (
            "training/evaluation/a.py",
            "import torch\nfrom kp_ros.detectors import load_detector\nimport kp_ros.frontend",
        ),
    ],
)
def test_what_keeps_the_rules_passes(file: str, source: str) -> None:
    assert not broken_rules(file, source)


@pytest.mark.parametrize(
    "module", ["kp_ros.frontend", "kp_ros.detectors", "kp_ros.tracking", "kp_ros.cli", "kp_ros.simulation"]
)
def test_the_core_loads_neither_torch_nor_ros(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'rclpy', 'sensor_msgs', 'training', 'evo'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "set()", run.stderr
