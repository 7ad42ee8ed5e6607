"""Networks: image -> logit map and descriptor map."""
