"""The frontend over a recording instead of a live camera: bag to bag, and features to a file."""
