"""A folder of photographs: images of any size, in no order of time, of which nothing else is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.photographs import list_photographs
from training.data.sequence import DatasetError, ImageFiles, Sequence


def read_photograph_folder(folder: Path) -> Sequence:
    """Open all photographs below a folder.

    :raises DatasetError: there is none.
    """
    try:
        files = tuple(list_photographs([folder]))
    except FileNotFoundError as error:
        raise DatasetError(str(error)) from error
    return Sequence(
        name=folder.resolve().name,
        frame_names=tuple(str(file.relative_to(folder)) for file in files),
        stamps_ns=np.arange(len(files), dtype=np.int64),
        load_image=ImageFiles(files),
        ordered=False,
    )
