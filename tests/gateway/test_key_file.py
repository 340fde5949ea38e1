import os
import stat

import pytest

from services.gateway.key_file import is_open_to_others

USER = 10001


def _file(owner: int, mode: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, USER, 0, 0, 0, 0))


def test_the_group_of_the_service_may_read_a_file_of_root() -> None:
    """As Kubernetes mounts a Secret into a pod with `fsGroup`."""
    assert not is_open_to_others(_file(0, 0o440), USER)
    assert not is_open_to_others(_file(USER, 0o600), USER)
    assert not is_open_to_others(_file(0, 0o600), 0)


@pytest.mark.parametrize(
    ("owner", "mode", "user"),
    [(USER, 0o640, USER), (0, 0o460, USER), (0, 0o444, USER), (0, 0o440, 0), (1234, 0o440, USER)],
)
def test_every_other_access_is_open(owner: int, mode: int, user: int) -> None:
    assert is_open_to_others(_file(owner, mode), user)
