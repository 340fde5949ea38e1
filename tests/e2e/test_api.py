"""The public API compared with its OpenAPI document."""

import pytest

from tests.fuzz.api import check_api
from tests.running import Service

pytestmark = pytest.mark.e2e


def test_every_response_is_documented(service: Service) -> None:
    done = check_api(service.url, examples=10, seed=7)
    assert done.returncode == 0, done.stdout[-3000:]
    assert service.ready()
