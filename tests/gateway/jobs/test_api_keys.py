from pathlib import Path

import pytest

from services.gateway.jobs.api_keys import ANONYMOUS, ApiKeys, Unauthorized

ANNS, BOBS = "a-key-of-anns-0001", "a-key-of-bobs-0001"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "senders"
    path.write_text(f"# who may send\nann {ANNS}\nbob\t{BOBS}  # the second\n\nann another-key-of-anns\n")
    return path


def test_a_key_tells_who_sends(keys: Path) -> None:
    senders = ApiKeys.read(keys)
    assert not senders.anybody
    assert senders.sender(f"Bearer {ANNS}") == senders.sender("bearer another-key-of-anns") == "ann"
    assert senders.sender(f"Bearer {BOBS}") == "bob"


@pytest.mark.parametrize("header", [None, "", "Bearer", f"Basic {ANNS}", ANNS, f"Bearer {ANNS}x", "Bearer ann"])
def test_without_a_known_key_nobody_sends(keys: Path, header: str | None) -> None:
    with pytest.raises(Unauthorized) as error:
        ApiKeys.read(keys).sender(header)
    assert error.value.headers() == {"www-authenticate": "Bearer"}
    assert ANNS not in error.value.detail


def test_without_a_file_everybody_is_the_same_sender() -> None:
    senders = ApiKeys.read(None)
    assert senders.anybody
    assert senders.sender(None) == senders.sender("Bearer what ever") == ANONYMOUS


@pytest.mark.parametrize("line", ["ann", "ann short", "a/b long-enough-key-000", "ann two words-and-more-000 x"])
def test_a_line_that_is_not_understood_stops_the_start_and_is_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "senders"
    path.write_text(f"ok {ANNS}\n{line}\n")
    with pytest.raises(ValueError, match="line 2") as error:
        ApiKeys.read(path)
    assert line not in str(error.value)
