"""Batch: jobs of any number of series, worked on by workers of their own.

A folder on disk is the truth; Redis says only whose turn it is, and can be emptied without a loss.
"""
