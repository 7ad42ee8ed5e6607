"""Built engines on disk: found again when nothing that they depend on has changed, and only then.

An engine is written beside a JSON file that says what it was built from and what its bytes must hash to; both appear
under their names only when they are whole. A lock on the engine's name lets one process build while others wait. A disk
that is full or may not be written costs the cache, never the engine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

#: Environment variable that names the cache's folder.
VARIABLE = "KP_ROS_ENGINES"
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on: one that differs in any of these is another engine.

    :ivar model: name, for people.
    :ivar onnx_sha256: of the model file's bytes.
    :ivar backend: ``tensorrt`` or ``tensorrt_rtx``.
    :ivar backend_version: whole.
    :ivar cuda_runtime: version; empty where an engine is built for another machine. The other facts of the machine
        likewise.
    :ivar driver: version.
    :ivar gpu: name.
    :ivar compute_capability: ``8.7``; what it was built for.
    :ivar multiprocessors: number of them.
    :ivar precision: asked for: ``fp32`` or ``fp16``.
    :ivar height: pixels; width likewise.
    :ivar max_keypoints: K.
    :ivar options: of the builder.
    """

    model: str
    onnx_sha256: str
    backend: str
    backend_version: str
    cuda_runtime: str
    driver: str
    gpu: str
    compute_capability: str
    multiprocessors: int
    precision: str
    height: int
    width: int
    max_keypoints: int
    options: str = ""

    @property
    def stem(self) -> str:
        """File name without extension: readable, and unlike any other key's."""
        text = json.dumps(asdict(self), sort_keys=True)
        return (
            f"{self.model}_{self.width}x{self.height}_{self.precision}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        )


@dataclass(frozen=True)
class CachedEngine:
    """:ivar file: the engine.
    :ivar key: what it was built from; None where its JSON file is missing or cannot be read.
    :ivar size: bytes.
    :ivar built: seconds since 1970.
    """

    file: Path
    key: EngineKey | None
    size: int
    built: float


def default_folder() -> Path:
    """``$KP_ROS_ENGINES``, or ``kp_ros/engines`` in the user's cache folder."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kp_ros" / "engines"


@dataclass(frozen=True)
class EngineCache:
    """:ivar folder: is made when the first engine is written."""

    folder: Path

    def get_or_build(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The cached engine, or a new one, which is kept.

        :param build: takes minutes; called by one process at a time for a key.
        """
        found = self._read(key)
        if found is not None:
            return found
        with self._locked(key):
            found = self._read(key)
            if found is not None:
                return found
            engine = build()
            self._write(key, engine)
            return engine

    def discard(self, key: EngineKey) -> None:
        """Forget an engine, one that does not load for example."""
        for file in (self._engine(key), self._description(key)):
            with _tolerant(f"{file} could not be removed"):
                file.unlink(missing_ok=True)

    def engines(self) -> list[CachedEngine]:
        """What is there, newest first."""
        listed = []
        for file in self.folder.glob("*.engine"):
            status = file.stat()
            description = _load(file.with_suffix(".json"))
            listed.append(CachedEngine(file, description[0] if description else None, status.st_size, status.st_mtime))
        return sorted(listed, key=lambda engine: -engine.built)

    def clean(self, keep: Callable[[CachedEngine], bool] = lambda engine: False) -> int:
        """Remove engines, and whatever a killed process left behind; how many bytes that freed."""
        freed = 0
        for engine in self.engines():
            if not keep(engine):
                freed += engine.size
                engine.file.unlink(missing_ok=True)
                engine.file.with_suffix(".json").unlink(missing_ok=True)
        for pattern in ("*.partial", "*.lock"):
            for file in self.folder.glob(pattern):
                # A lock that someone holds stays: removing it would let a second process build beside the first.
                if file.suffix == ".partial" and time.time() - file.stat().st_mtime < 3600:
                    continue
                if file.suffix == ".lock" and not _free(file):
                    continue
                file.unlink(missing_ok=True)
        return freed

    def _engine(self, key: EngineKey) -> Path:
        return self.folder / f"{key.stem}.engine"

    def _description(self, key: EngineKey) -> Path:
        return self.folder / f"{key.stem}.json"

    def _read(self, key: EngineKey) -> bytes | None:
        file = self._engine(key)
        try:
            engine = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            LOGGER.warning("engine %s cannot be read (%s); building anew", file, error.strerror)
            return None
        description = _load(self._description(key))
        if description is None or description[0] != key or description[1] != hashlib.sha256(engine).hexdigest():
            LOGGER.warning("engine %s is damaged or not what its name says; building anew", file)
            self.discard(key)
            return None
        return engine

    def _write(self, key: EngineKey, engine: bytes) -> None:
        description = {"sha256": hashlib.sha256(engine).hexdigest(), "key": asdict(key)}
        with _tolerant(f"the engine is not kept in {self.folder}, the next start builds it again"):
            # The description first: an engine without one does not count.
            _replace(self._description(key), json.dumps(description, indent=2).encode())
            _replace(self._engine(key), engine)

    @contextmanager
    def _locked(self, key: EngineKey) -> Iterator[None]:
        """One process at a time; a killed one's lock is free again, for the lock is the system's, not the file's."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f"{key.stem}.lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            LOGGER.warning(
                "%s cannot be written (%s): engines are not kept; set %s to a folder of yours",
                self.folder,
                error.strerror or error,
                VARIABLE,
            )
            yield
            return
        with lock:
            yield


@contextmanager
def _tolerant(consequence: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        LOGGER.warning("%s: %s", consequence, error.strerror or error)


def _replace(file: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it, not even after a power cut."""
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".partial", delete=False) as partial:
        try:
            partial.write(content)
            partial.flush()
            os.fsync(partial.fileno())
            Path(partial.name).replace(file)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise


def _load(file: Path) -> tuple[EngineKey, str] | None:
    try:
        description = json.loads(file.read_text())
        return EngineKey(**description["key"]), str(description["sha256"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _free(file: Path) -> bool:
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
