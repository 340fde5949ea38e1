"""Pulls series from peers on request, and asks peers how many instances a series has."""
