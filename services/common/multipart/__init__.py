"""Streams multipart bodies within limits."""
