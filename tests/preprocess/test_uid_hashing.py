"""UIDs as keyed hashes: deterministic and irreversible."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.schemas import HeadersReport, SeriesHeader, SetAsideFile, SliceReference
from services.preprocess.uid_hashing import hash_uid, hash_uids, read_uid_key

KEY = b"a key of sixteen bytes and more"
SERIES = SeriesHeader(
    uid="1.2.3", study_uid="1.2", items=(SliceReference(file=0, sop_instance_uid="1.2.3.1"),), position_mm=(0,)
)


@given(st.text(max_size=64), st.binary(min_size=16))
def test_a_hash_is_a_uid(uid: str, key: bytes) -> None:
    found = hash_uid(uid, key)
    assert found == hash_uid(uid, key)
    assert found.startswith("2.25.")
    assert int(found[5:]) < 2**128
    assert len(found) <= 64


def test_another_key_gives_another_hash() -> None:
    assert hash_uid("1.2.3", KEY) != hash_uid("1.2.3", KEY + b"2")
    assert hash_uid("1.2.3", KEY) != hash_uid("1.2.4", KEY)


def test_all_uids_of_a_report_are_hashed_and_nothing_else_changes() -> None:
    (found,) = hash_uids(HeadersReport(series=(SERIES,)), KEY).series
    assert (found.uid, found.study_uid) == (hash_uid("1.2.3", KEY), hash_uid("1.2", KEY))
    assert found.items == (SliceReference(file=0, sop_instance_uid=hash_uid("1.2.3.1", KEY)),)
    assert found.position_mm == (0,)


def test_absent_uids_stay_absent() -> None:
    picture = SeriesHeader(uid=None, study_uid="", items=(SliceReference(file=0),), position_mm=(0,))
    assert hash_uids(HeadersReport(series=(picture,)), KEY).series == (picture,)
    assert hash_uids(HeadersReport(series=(SERIES,)), None).series == (SERIES,)


def test_the_key_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    assert read_uid_key(file) == KEY
    assert read_uid_key(None) is None
    file.write_bytes(b"short\n")
    with pytest.raises(ValueError, match="must have at least 16"):
        read_uid_key(file)


def test_uids_of_files_set_aside_match_their_series() -> None:
    aside = SetAsideFile(file=0, code="truncated", uid=SERIES.uid, study_uid=SERIES.study_uid)
    found = hash_uids(HeadersReport(series=(SERIES,), set_aside=(aside,)), KEY)
    assert (found.set_aside[0].uid, found.set_aside[0].study_uid) == (found.series[0].uid, found.series[0].study_uid)
    assert found.set_aside[0].uid != SERIES.uid
