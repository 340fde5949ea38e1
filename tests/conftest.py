"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest

from tests.object_storage import ObjectServer, running_object_server


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A real S3 server, started once a test process; the variables of the process name it."""
    with (
        running_object_server(tmp_path_factory.mktemp("weed")) as server,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in server.environment.items():
            environment.setenv(name, value)
        yield server
