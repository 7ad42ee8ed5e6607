"""Losses: each a pure function of network outputs and labels."""
