import gzip
import io
import zipfile
from pathlib import Path

import pytest

from services.common.problems import ContentTooLarge, Problem
from services.gateway.uploads.archives import BadArchive, Limits, UnsupportedArchive
from services.gateway.uploads.spool import SpoolFolder, UploadedFile
from services.gateway.uploads.unpacking import unpack_all
from tests.scans import zipped

LIMITS = Limits(max_bytes=200 * 1024**2, max_files=10, max_ratio=100)
GZ = gzip.compress(b"slice")


def _unpack(folder: Path, files: dict[str, bytes], limits: Limits = LIMITS) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    for number, data in enumerate(files.values()):
        (folder / f"sent-{number}").write_bytes(data)
    sent = [UploadedFile(name, folder / f"sent-{at}", len(data)) for at, (name, data) in enumerate(files.items())]
    target = folder / "spool"
    target.mkdir()
    return {file.name: file.path.read_bytes() for file in unpack_all(sent, SpoolFolder(target), limits)}


def _refused(folder: Path, files: dict[str, bytes]) -> tuple[Problem, dict[str, str]]:
    with pytest.raises(Problem) as refused:
        _unpack(folder, files)
    return refused.value, {file["file"]: file["reason"] for file in refused.value.extra["files"]}


def test_a_zip_in_a_zip_is_replaced_by_its_files(tmp_path: Path) -> None:
    inner = zipped({"b/1.dcm": b"1", "2.dcm": b"2"})
    got = _unpack(tmp_path, {"x.dcm": b"x", "s.zip": zipped({"0.dcm": b"0", "more.zip": inner}), "y.dcm": b"y"})
    names = ["x.dcm", "0.dcm", "more.zip/b/1.dcm", "more.zip/2.dcm", "y.dcm"]
    assert list(got) == names
    assert list(got.values()) == [b"x", b"0", b"1", b"2", b"y"]


def test_a_zip_with_the_name_of_a_system_file_is_unpacked(tmp_path: Path) -> None:
    assert _unpack(tmp_path, {"s.zip": zipped({"._m": zipped({"1.dcm": b"1"})})}) == {"._m/1.dcm": b"1"}


def test_a_zip_without_files_remains(tmp_path: Path) -> None:
    empty = zipped({})
    got = _unpack(tmp_path, {"x.dcm": b"x", "e.zip": empty, "s.zip": zipped({"1.dcm": b"1", "in.zip": empty})})
    assert got == {"x.dcm": b"x", "e.zip": empty, "1.dcm": b"1", "in.zip": empty}


def test_zips_without_files_alone_are_an_empty_upload(tmp_path: Path) -> None:
    assert _unpack(tmp_path, {"e.zip": zipped({}), "s.zip": zipped({"in.zip": zipped({})})}) == {}


def test_refused_archives_are_named_with_their_zips(tmp_path: Path) -> None:
    deep = zipped({"c.zip": zipped({"1.dcm": b"1"}), "c.gz": GZ})
    problem, named = _refused(
        tmp_path, {"a.dcm": b"a", "b.tar.gz": GZ, "s.zip": zipped({"0.dcm": b"0", "b.zip": deep, "x": GZ})}
    )
    assert type(problem) is UnsupportedArchive
    assert list(named) == ["b.tar.gz", "s.zip/b.zip/c.zip", "s.zip/b.zip/c.gz", "s.zip/x"]
    assert named["s.zip/b.zip/c.zip"].startswith("a zip in a zip in a zip; only zip is unpacked")
    assert named["s.zip/x"].startswith("a gzip file;")
    assert problem.detail.startswith("b.tar.gz: a gzip file")
    assert problem.detail.endswith("(and 3 more).")


def test_damaged_zips_are_named_beside_the_others(tmp_path: Path) -> None:
    damaged = zipped({"a.dcm": b"a" * 100})[:-25]
    problem, named = _refused(
        tmp_path, {"x.gz": GZ, "d.zip": damaged, "s.zip": zipped({"d.zip": damaged}), "none.zip": b"nothing"}
    )
    assert type(problem) is BadArchive
    assert list(named) == ["x.gz", "d.zip", "s.zip/d.zip", "none.zip"]


def test_limits_count_all_files_of_an_upload(tmp_path: Path) -> None:
    five = {f"{index}.dcm": b"x" for index in range(5)}
    assert len(_unpack(tmp_path / "a", {"s.zip": zipped({**five, "i.zip": zipped(five)})})) == 10
    for number, sent in enumerate(
        (
            {"s.zip": zipped({**five, "6.dcm": b"x", "i.zip": zipped(five)})},
            {"s.zip": zipped(five), "t.zip": zipped({**five, "6.dcm": b"x"})},
            {"s.zip": zipped({**five, "6.dcm": b"x"}), **five},
        )
    ):
        with pytest.raises(ContentTooLarge):
            _unpack(tmp_path / f"b{number}", sent)


def test_the_ratio_is_of_the_sent_zip(tmp_path: Path) -> None:
    """An inner zip could multiply the ratio."""
    inner = zipped({"zeros": bytes(40 * 1024**2)})
    assert len(_unpack(tmp_path / "a", {"s.zip": zipped({"1.zip": inner})})) == 1
    with pytest.raises(ContentTooLarge) as refused:
        _unpack(tmp_path / "b", {"s.zip": zipped({"1.zip": inner, "2.zip": inner})})
    assert refused.value.extra["files"][0]["file"] == "s.zip/2.zip"


def _reason(folder: Path, files: dict[str, bytes], limits: Limits) -> str:
    with pytest.raises(ContentTooLarge) as refused:
        _unpack(folder, files, limits)
    return str(refused.value.extra["files"][0]["reason"])


def test_refusals_state_the_limits_of_the_upload(tmp_path: Path) -> None:
    """Not what other files of the upload have left of them."""
    limits = Limits(max_bytes=1020 * 1024, max_files=10, max_ratio=100)
    nine = {f"{index}.dcm": b"x" for index in range(9)}
    files = _reason(tmp_path / "files", {**nine, "s.zip": zipped({"a": b"1", "i.zip": zipped(nine)})}, limits)
    assert files == "the upload has more than 10 files, with those of this zip; send fewer files at a time"
    many = {"1.dcm": b"x", "s.zip": zipped({f"{index}/": b"" for index in range(36)})}
    entries = _reason(tmp_path / "entries", many, limits)
    assert entries.startswith("the upload has more than 36 files and folders, with those of this zip and of the oper")
    large = {
        "1.dcm": bytes(500_000),
        "s.zip": zipped({"2.dcm": bytes(300_000), "i.zip": zipped({"3": bytes(900_000)})}),
    }
    size = _reason(tmp_path / "bytes", large, limits)
    assert size == "the upload has more than 1020 KiB, with the unpacked files of this zip; send fewer files at a time"


def test_a_refusal_for_the_ratio_states_it(tmp_path: Path) -> None:
    zeros = zipped({"zeros": bytes(40 * 1024**2)})
    by_ratio = "the sent zip unpacks to more than 64 MiB and 100 times its size; send its files unpacked"
    sent = {"s.zip": zipped({"1": bytes(70 * 1024**2)})}
    assert _reason(tmp_path / "a", sent, LIMITS) == by_ratio
    within = {"s.zip": zipped({"1.zip": zeros, "2.zip": zeros})}
    assert _reason(tmp_path / "b", within, LIMITS) == by_ratio


def test_system_files_are_limited_over_all_zips(tmp_path: Path) -> None:
    system = zipped({f"._{index}": b"" for index in range(20)})
    with pytest.raises(ContentTooLarge):
        _unpack(tmp_path, {"s.zip": zipped({"1.zip": system, "2.zip": system})})


def test_at_most_a_hundred_archives_are_named(tmp_path: Path) -> None:
    limits = Limits(max_bytes=LIMITS.max_bytes, max_files=1000, max_ratio=100)
    many = zipped({f"{index}.gz": GZ for index in range(500)})
    for number, sent in enumerate(({"s.zip": many}, {f"{index}.gz": GZ for index in range(500)})):
        with pytest.raises(UnsupportedArchive) as refused:
            _unpack(tmp_path / str(number), sent, limits)
        assert len(refused.value.extra["files"]) == 100


def test_a_zip_in_a_zip_by_another_method_is_refused_by_name(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("1.dcm", b"1")
    problem, named = _refused(tmp_path, {"s.zip": zipped({"in.zip": packed.getvalue()})})
    assert type(problem) is UnsupportedArchive
    assert "bzip2 (method 12)" in named["s.zip/in.zip"]
