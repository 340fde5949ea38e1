from typing import Annotated

import httpx
import pytest
from fastapi import Depends, Query

from services.common.app import new_app
from services.gateway.query import RepeatedParameter, UnknownParameter, check_names, check_query


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


KNOWN = ["images", "limit", "operating_point"]


@pytest.mark.parametrize(
    ("sent", "advice"),
    [
        ("operating_piont", "did you mean 'operating_point'?"),
        ("operating-point", "did you mean 'operating_point'?"),
        ("OPERATING_POINT", "did you mean 'operating_point'?"),
        ("image", "did you mean 'images'?"),
        ("zebra", "this call has 'images', 'limit', 'operating_point'"),
        ("", "this call has 'images', 'limit', 'operating_point'"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(sent: str, advice: str) -> None:
    with pytest.raises(UnknownParameter) as refused:
        check_names([sent], KNOWN)
    assert refused.value.detail == f"unknown query parameter {sent!r}; {advice}"


def test_a_route_without_parameters_has_no_suggestion() -> None:
    with pytest.raises(UnknownParameter) as refused:
        check_names(["x"], [])
    assert refused.value.detail == "unknown query parameter 'x'; this call has no parameters"


def test_unknown_names_are_listed_and_shortened() -> None:
    with pytest.raises(UnknownParameter) as refused:
        check_names(["images", "a" * 5000, "b"], KNOWN)
    names = [field["field"] for field in refused.value.extra["fields"]]
    assert names == [f"query.{'a' * 64}…", "query.b"]
    assert len(refused.value.detail) < 200


def test_the_list_of_unknown_names_is_limited() -> None:
    with pytest.raises(UnknownParameter) as refused:
        check_names([str(number) for number in range(20_000)], KNOWN)
    assert len(refused.value.extra["fields"]) == 10


def test_a_repeated_parameter_is_refused() -> None:
    with pytest.raises(RepeatedParameter) as refused:
        check_names(["limit", "images", "limit"], KNOWN)
    assert refused.value.detail == "query parameter 'limit' is given 2 times; give it once"


@pytest.mark.anyio
async def test_parameters_of_a_route_and_its_dependencies_are_known_by_alias() -> None:
    async def ready() -> None:
        pass

    app = new_app(title="example", ready=ready, drain_s=0, dependencies=[Depends(check_query)])

    def shared(page: int = 1) -> int:
        return page

    @app.get("/things/{name}")
    def things(name: str, page: Annotated[int, Depends(shared)], kind: Annotated[str, Query(alias="type")] = "") -> str:
        return f"{name} {page} {kind}"

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        assert (await client.get("/things/a?page=2&type=b")).json() == "a 2 b"
        assert (await client.get("/livez?_=123")).status_code == 200, "probes may have a cache-buster"
        for query in ("kind=b", "name=b", "page=1&typ=b"):
            answer = await client.get(f"/things/a?{query}")
            assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")
