from pathlib import Path

import numpy as np
import pytest

from training.evaluation.cache import Cache, digest


class Work:
    """Counts how often it is done."""

    def __init__(self) -> None:
        self.times = 0

    def arrays(self) -> dict[str, np.ndarray]:
        self.times += 1
        return {"keypoints": np.arange(600, dtype=np.float32).reshape(-1, 2)}

    def json(self) -> dict[str, float]:
        self.times += 1
        return {"aktl": 4.5}


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    work, key = Work(), digest("a")
    for _ in range(2):
        entry = Cache(tmp_path).arrays(key, work.arrays)
        np.testing.assert_array_equal(entry["keypoints"], np.arange(600, dtype=np.float32).reshape(-1, 2))
        assert Cache(tmp_path).json(key, work.json) == {"aktl": 4.5}
    assert work.times == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
@pytest.mark.parametrize("kind", ["arrays", "json"])
def test_a_damaged_entry_is_computed_and_written_again(tmp_path: Path, kind: str, damage: str) -> None:
    work, cache, key = Work(), Cache(tmp_path), digest("a")
    read = (lambda: cache.arrays(key, work.arrays)) if kind == "arrays" else (lambda: cache.json(key, work.json))
    before = read()
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0x10
    file.write_bytes({"cut": bytes(content[:middle]), "flipped": bytes(content), "emptied": b""}[damage])
    for _ in range(2):
        after = read()
        np.testing.assert_array_equal(next(iter(after.values())), next(iter(before.values())))
    assert work.times == 2


def test_work_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path).arrays(digest("a"), interrupted)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_key_tells_contents_shapes_and_types_apart() -> None:
    numbers = np.arange(6, dtype=np.uint8)
    keys = [digest(numbers), digest(numbers[::-1]), digest(numbers.reshape(2, 3)), digest(numbers.astype(np.int8))]
    assert len({*keys, digest("a", "bc"), digest("ab", "c")}) == 6
    assert digest(np.arange(12)[::2]) == digest(np.arange(12)[::2].copy())
