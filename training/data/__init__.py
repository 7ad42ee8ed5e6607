"""Photographs and the pairs made from them."""
