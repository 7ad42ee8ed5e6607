"""From detectors to numbers that can be trusted: ``python -m training evaluate``, see docs/evaluation.md."""
