"""Features -> Tracks: every keypoint gets a persistent id and an age."""
