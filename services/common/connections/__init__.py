"""Connections of an HTTP server: time-outs, caps, and the address of the client."""
