"""The gateway's connections: time-outs, caps, and the address of the client."""
