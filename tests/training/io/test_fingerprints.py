import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from training.io.files import file_hash, fingerprint, write_atomically, write_json


@dataclass(frozen=True)
class Options:
    rate: float = 0.1
    path: Path = Path("a")


def test_equal_options_have_one_fingerprint() -> None:
    assert fingerprint(Options(), 3) == fingerprint(Options(), 3)
    assert len(fingerprint(Options())) == 16


@pytest.mark.parametrize("other", [Options(rate=0.2), Options(path=Path("b"))])
def test_another_value_has_another_fingerprint(other: Options) -> None:
    assert fingerprint(other) != fingerprint(Options())


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_a_hash_is_sha_256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert file_hash(tmp_path / "a") == sha256(b"content").hexdigest()


def test_json_is_readable_and_ends_with_a_line_break(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"path": Path("b"), "values": [1]})
    text = (tmp_path / "new" / "a.json").read_text()
    assert json.loads(text) == {"path": "b", "values": [1]}
    assert text.endswith("}\n")


def test_an_error_while_writing_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail(part: Path) -> None:
        part.write_text("new")
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        write_atomically(tmp_path / "a", fail)
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
