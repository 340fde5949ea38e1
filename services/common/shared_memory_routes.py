"""Routes of Triton's system shared memory extension.

Names of regions are secret: who knows one may read its pixels. So no route lists them or works on all regions.
"""

from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.common.problems import BadRequest
from services.common.request_body import read_body
from services.common.shared_memory_regions import RegisteredRegions
from services.common.stage import Stage

router: Final = APIRouter(prefix="/v2/systemsharedmemory/region/{name}")
_MAX_BODY_BYTES: Final = 4096
Name = Annotated[str, Path(max_length=64)]


class Registration(BaseModel):
    model_config = ConfigDict(frozen=True)

    key: str = Field(max_length=64)
    offset: int = Field(default=0, ge=0)
    byte_size: int = Field(gt=0)


async def registered_regions(request: Request) -> RegisteredRegions:
    """The regions of the application's stage, as a dependency."""
    stage: Stage = request.app.state.stage
    return stage.regions


Regions = Annotated[RegisteredRegions, Depends(registered_regions)]


@router.get("/status")
async def region_status(name: Name, regions: Regions) -> list[dict[str, Any]]:
    return [regions.status(name)]


async def sent_registration(request: Request) -> Registration:
    """The JSON of the body, whatever its Content-Type: tritonclient sends none."""
    body = await read_body(request, _MAX_BODY_BYTES)
    try:
        return Registration.model_validate_json(bytes(body))
    except ValidationError as error:
        raise BadRequest("the body must be JSON with key, offset and byte_size") from error


@router.post("/register")
async def register_region(
    name: Name, registration: Annotated[Registration, Depends(sent_registration)], regions: Regions
) -> dict[str, Any]:
    await to_thread.run_sync(regions.register, name, registration.key, registration.offset, registration.byte_size)
    return {}


@router.post("/unregister")
async def unregister_region(name: Name, regions: Regions) -> dict[str, Any]:
    await to_thread.run_sync(regions.unregister, name)
    return {}
