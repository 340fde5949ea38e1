"""Definitions that at least two parts of the system share."""
