"""Experiments with the training methods: one command a table, each resumable, results as small JSON."""
