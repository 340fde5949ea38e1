"""Routes of Triton's system shared memory extension.

Names of regions are secret: who knows one may read its pixels. So no route lists them or works on all regions.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from services.common.shared_memory_regions import RegisteredRegions
from services.common.stage import Stage

router: Final = APIRouter(prefix="/v2/systemsharedmemory/region/{name}")
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


@router.post("/register")
async def register_region(name: Name, registration: Registration, regions: Regions) -> dict[str, Any]:
    regions.register(name, registration.key, registration.offset, registration.byte_size)
    return {}


@router.post("/unregister")
async def unregister_region(name: Name, regions: Regions) -> dict[str, Any]:
    regions.unregister(name)
    return {}
