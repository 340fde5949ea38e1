"""Fixtures of the node's tests."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
