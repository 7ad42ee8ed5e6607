"""Cameras, planes and matches on tensors; the centre of the top-left pixel is (0, 0)."""
