"""The file of keys: its two forms of lines, and what a malformed line says."""

from datetime import UTC, date, datetime

import pytest

from services.common.identity.key_lines import StoredKey, hash_key, read_key, read_keys
from services.common.identity.new_keys import PATTERN, is_key, new_key

KEY = "a-key-of-anns-0001"
HASH = hash_key(KEY).hex()


def test_a_hashed_line_is_read_as_it_was_written() -> None:
    stored = StoredKey(hash_key(KEY), "ann", frozenset({"read", "admin"}), date(2026, 11, 29), date(2027, 1, 1))
    assert stored.line() == f"ann sha256:{HASH} roles=admin,read created=2026-11-29 expires=2027-01-01"
    assert read_key(stored.line()) == stored


def test_a_hashed_line_without_members_submits_and_reads() -> None:
    assert read_key(f"ann sha256:{HASH}").roles == {"submit", "read"}
    assert read_key(f"ann sha256:{HASH} roles=submit").roles == {"submit"}


def test_a_key_is_refused_from_its_day_of_expiry_on_in_utc() -> None:
    key = read_key(f"ann sha256:{HASH} expires=2027-01-01")
    assert not key.is_expired(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert key.is_expired(datetime(2027, 1, 1, tzinfo=UTC))
    assert key.is_expired(datetime.fromisoformat("2026-12-31T20:00:00-05:00"))
    assert not read_key(f"ann sha256:{HASH}").is_expired(datetime(2999, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "line",
    [
        "ann sha256:abc",
        f"ann sha256:{HASH.upper()}",
        f"ann sha256:{HASH} read",
        f"ann sha256:{HASH} roles=root",
        f"ann sha256:{HASH} expires=tomorrow",
        f"ann sha256:{HASH} expires=2027-13-01",
        f"ann sha256:{HASH} role=read",
        f"ann\tsha256:{HASH} until=2027-01-01",
        f"ann\tsha256:{HASH[:60]}",
        f"a_b sha256:{HASH}",
    ],
)
def test_a_malformed_line_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(ValueError, match="senders, line 3") as error:
        read_keys(f"# keys\n\n{line}\n", "senders")
    assert HASH[:6] not in str(error.value)
    assert HASH[:6].upper() not in str(error.value)


def test_a_new_key_has_178_random_bits_a_checksum_and_a_form_for_scanners() -> None:
    keys = {new_key("scanner-1") for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert PATTERN.fullmatch(key)
        assert key.startswith("ich_scanner-1_")
        assert is_key(key)
        assert not is_key(key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert not is_key(KEY)
