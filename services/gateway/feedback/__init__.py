"""Readers' opinions on predictions: stored with the jobs, exported as labels, counted over time."""
