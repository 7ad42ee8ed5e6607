from pathlib import Path

import pytest
from sliding_wall import write_wall_sequence

from training.data.readers.opening import open_sequences
from training.data.sequence import Sequence


@pytest.fixture
def wall_sequence(tmp_path: Path) -> Sequence:
    return open_sequences(write_wall_sequence(tmp_path / "wall"))[0]
