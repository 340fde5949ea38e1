"""Slices in, one feature vector a slice out."""
