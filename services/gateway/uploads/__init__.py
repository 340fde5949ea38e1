"""Receives uploads: multipart bodies, zips, limits, and the files that make a series."""
