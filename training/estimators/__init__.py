"""Robust estimators behind one interface: point pairs -> a model and its inliers, the same on every run."""
