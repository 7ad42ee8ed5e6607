"""Samplers: logit map -> keypoints, each with the log-probability by which this sampler drew it."""
