"""Whether the gateway is ready, for the status. The node works without it."""

from collections.abc import Callable
from typing import Final

import httpx

from services.dicom_node.status.schemas import GatewayStatus

_TIMEOUT_S: Final = 3.0
_MOST_CHARACTERS: Final = 300


async def probe_gateway(connect: Callable[[], httpx.AsyncClient]) -> GatewayStatus:
    """Ask `/readyz`; the detail is the gateway's own, or names the failure."""
    try:
        async with connect() as client:
            response = await client.get("/readyz", timeout=_TIMEOUT_S)
    except httpx.TransportError as error:
        return GatewayStatus(ready=False, detail=f"the gateway does not answer ({type(error).__name__})")
    return GatewayStatus(ready=response.is_success, detail=None if response.is_success else _detail(response))


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])[:_MOST_CHARACTERS]
    except (ValueError, KeyError, TypeError):
        return f"the gateway answers {response.status_code}"
