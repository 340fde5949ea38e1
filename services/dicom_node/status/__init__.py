"""The state of the node for people and Prometheus: `GET /v1/status`, its page, metrics, and the command `status`."""
