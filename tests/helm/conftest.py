"""The releases of the three value sets, and one running product."""

from collections.abc import Iterator

import pytest

from tests.helm.chart import VALUE_SETS, Rendered, rendered
from tests.running import NAMES, Service, running_service


@pytest.fixture(params=VALUE_SETS)
def release(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    no_drain = {f"ICH_{name.upper()}_DRAIN_S": "0" for name in NAMES}
    with running_service(tmp_path_factory.mktemp("product") / "log", more=no_drain) as service:
        yield service
