"""The releases of the three value sets."""

import pytest

from tests.helm.chart import VALUE_SETS, Rendered, rendered


@pytest.fixture(params=VALUE_SETS)
def release(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)
