"""The three files of an evaluation."""

from __future__ import annotations

from pathlib import Path

from training.evaluation.evaluate import Evaluation, write_json
from training.evaluation.report.page import page
from training.evaluation.report.table import markdown


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``results.md``, ``results.json`` and ``index.html`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("index.html", "results.md", "results.json")]
    files[0].write_text(page(evaluation), encoding="utf-8")
    files[1].write_text(markdown(evaluation), encoding="utf-8")
    write_json(evaluation, files[2])
    return files
