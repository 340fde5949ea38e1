"""Settings of connections, which servers with clients of the network share."""

from ipaddress import ip_network

from pydantic import Field, field_validator

from services.common.settings import ServiceSettings


class ConnectionSettings(ServiceSettings):
    """Time-outs and caps of connections, and proxies in front."""

    proxies: tuple[str, ...] = Field(
        default=(),
        description="JSON list of addresses and networks of the proxies in front, such as `172.20.0.0/16`. Only their "
        "`X-Forwarded-For` and `X-Forwarded-Proto` are believed, and they may open any number of connections.",
    )
    max_connections: int = Field(
        default=1000,
        description="Largest number of connections; 256 descriptors of the process's limit always remain for files. "
        "Beyond it, the connection that waits longest for its client is closed, or the new one is answered with 503.",
    )
    max_connections_per_address: int = Field(
        default=128, description="Largest number of connections of one address (IPv6: of one /64 network)."
    )
    header_timeout_s: float = Field(
        default=10.0, description="Seconds in which the header of a request must arrive; then the answer is 408."
    )
    body_timeout_s: float = Field(
        default=30.0, description="Seconds that a body may pause while it is sent; then the answer is 408."
    )
    response_timeout_s: float = Field(
        default=60.0, description="Seconds that a client may read nothing of its response; then it is disconnected."
    )
    min_bytes_per_s: int = Field(
        default=1000,
        description="Smallest mean rate of a body or a response over its time-out, in bytes per second.",
    )

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)
        return proxies
