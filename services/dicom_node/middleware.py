"""ASGI middleware of the node: client address, security headers, hosts, and pages of other origins."""

from starlette.middleware import Middleware

from services.common.connections.client_address import ClientAddressMiddleware, Proxies
from services.common.cross_origin import CrossOriginMiddleware
from services.common.host_check import LOCAL_HOSTS, HostMiddleware, bound_host
from services.common.security_headers import SecurityHeadersMiddleware
from services.dicom_node.settings import Settings


def node_middleware(settings: Settings) -> list[Middleware]:
    """Middleware from the outermost in."""
    hosts = frozenset((*LOCAL_HOSTS, bound_host(settings.host), *settings.hosts))
    return [
        Middleware(ClientAddressMiddleware, Proxies(settings.proxies)),
        Middleware(SecurityHeadersMiddleware),
        Middleware(HostMiddleware, hosts, "DICOM node", "ICH_NODE_HOSTS"),
        Middleware(CrossOriginMiddleware),
    ]
