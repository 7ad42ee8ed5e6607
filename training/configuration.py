"""Typed run configurations: a dataclass, a YAML file over its defaults, overrides from the command line over both."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kp_ros.errors import UserError

Config = TypeVar("Config")


class ConfigurationError(UserError):
    """A configuration that cannot be used; the message names the key."""


def load_config(kind: type[Config], file: Path | None, overrides: list[str]) -> Config:
    """Build a configuration.

    :param kind: frozen dataclass that types it.
    :param file: YAML; None takes the defaults.
    :param overrides: ``key=value`` or ``group.key=value``.
    :raises ConfigurationError: an unknown key, a value of the wrong type, a missing value or file.
    """
    try:
        layers = [OmegaConf.structured(kind)]
        if file is not None:
            layers.append(OmegaConf.load(file))
        layers.append(OmegaConf.from_dotlist(overrides))
        return cast(Config, OmegaConf.to_object(OmegaConf.merge(*layers)))
    except OmegaConfBaseException as error:
        source = f"{file} and the command line" if file is not None else "the command line"
        raise ConfigurationError(f"configuration of {source}: {str(error).splitlines()[0]}") from error
    except FileNotFoundError as error:
        raise ConfigurationError(f"{file} does not exist; training/configs/ has ours") from error


def save_config(config: object, file: Path) -> None:
    """Write the resolved configuration as YAML, with the commit that runs it as a comment."""
    values = _plain(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))
    file.write_text(f"# commit: {commit()}\n{OmegaConf.to_yaml(OmegaConf.create(values))}")


def _plain(value: Any) -> Any:
    """Paths as text: YAML would write their Python class."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def commit() -> str:
    """The commit of this checkout, ``-dirty`` behind it when files differ; ``unknown`` outside one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
