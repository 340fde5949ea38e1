"""Whether only this machine reaches an address."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is that of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
