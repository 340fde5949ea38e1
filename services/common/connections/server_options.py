"""Options of uvicorn for a server whose connections are bounded.

The application's lifespan must give the connection table and the proxies in its state.
"""

from typing import Final, TypedDict

from uvicorn.config import WSProtocolType


class ServerOptions(TypedDict):
    """Arguments of `uvicorn.run`."""

    http: str
    ws: WSProtocolType
    proxy_headers: bool
    backlog: int


SERVER_OPTIONS: Final = ServerOptions(
    http="services.common.connections.http_protocol:BoundedProtocol",
    ws="none",
    proxy_headers=False,  # the middleware of client addresses reads them
    backlog=128,  # uvicorn accepts all of it before the protocol can count the connections
)
