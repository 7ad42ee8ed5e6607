"""Rewards: what was drawn and the truth -> numbers without gradient."""
