from dataclasses import dataclass, field
from pathlib import Path

import pytest

from training.configuration import ConfigurationError, load_config, save_config


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    folders: list[Path]
    steps: int = 10
    inner: Inner = field(default_factory=Inner)


def test_file_over_defaults_and_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("folders: [a, b]\nsteps: 20\n")
    config = load_config(Outer, file, ["inner.rate=0.25"])
    assert config == Outer([Path("a"), Path("b")], 20, Inner(0.25))


def test_what_is_saved_gives_the_same_configuration(tmp_path: Path) -> None:
    config = Outer([Path("a")], 3, Inner(0.1))
    save_config(config, tmp_path / "config.yaml")
    assert load_config(Outer, tmp_path / "config.yaml", []) == config
    assert (tmp_path / "config.yaml").read_text().startswith("# commit: ")


@pytest.mark.parametrize(
    ("overrides", "named"),
    [(["folders=[a]", "stepz=3"], "stepz"), (["folders=[a]", "steps=many"], "many"), ([], "folders")],
)
def test_unknown_keys_wrong_types_and_missing_values_are_named(overrides: list[str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_config(Outer, None, overrides)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_config(Outer, tmp_path / "none.yaml", [])
