import hashlib
import os
import socket
from pathlib import Path

import pytest

from services.common.bundle_files import BundleFault, digest_files, hash_files, open_folder, read_file
from services.common.card import BundleError, open_bundle
from tests.bundles import write_bundle

GRAPH = Path("cnn", "1", "saved_model.pb")


def test_every_file_but_the_card_and_its_signature_is_hashed(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "card.json.sig").write_bytes(b"{}")
    assert hash_files(tmp_path) == {
        "cnn/1/saved_model.pb": hashlib.sha256(b"cnn").hexdigest(),
        "rnn/1/saved_model.pb": hashlib.sha256(b"rnn").hexdigest(),
    }


def _link_to_same_bytes(folder: Path) -> None:
    outside = folder.parent / "outside.pb"
    outside.write_bytes((folder / GRAPH).read_bytes())
    (folder / GRAPH).unlink()
    (folder / GRAPH).symlink_to(outside)


def _link_to_folder(folder: Path) -> None:
    (folder / "cnn").rename(folder.parent / "cnn")
    (folder / "cnn").symlink_to(folder.parent / "cnn")


def _pipe(folder: Path) -> None:
    (folder / GRAPH).unlink()
    os.mkfifo(folder / GRAPH)


def _socket(folder: Path) -> None:
    (folder / GRAPH).unlink()
    here = Path.cwd()
    os.chdir(folder / GRAPH.parent)  # the path of a socket has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(GRAPH.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize("change", [_link_to_same_bytes, _link_to_folder, _pipe, _socket])
def test_anything_but_a_regular_file_is_refused_by_name(tmp_path: Path, change: object) -> None:
    folder = write_bundle(tmp_path / "bundle")
    assert callable(change)
    change(folder)
    with pytest.raises(BundleError, match=rf"{folder}: 'cnn.*' is a symbolic link or no regular file; put a copy"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["card.json", "card.json.sig"])
def test_a_link_in_place_of_the_card_or_signature_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_bundle(tmp_path / "bundle")
    (tmp_path / name).write_bytes((folder / "card.json").read_bytes())
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / name)
    with open_folder(folder) as opened, pytest.raises(BundleFault, match=f"'{name}' is a symbolic link"):
        read_file(opened, name, 10**6)


def test_the_folder_of_the_bundle_may_be_a_link(tmp_path: Path) -> None:
    write_bundle(tmp_path / "2026-11")
    (tmp_path / "current").symlink_to("2026-11")
    assert open_bundle(tmp_path / "current").card.name == "fake"


def test_a_huge_card_is_refused_without_reading_it(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    os.truncate(folder / "card.json", 1 << 40)  # sparse
    with pytest.raises(BundleError, match=r"card\.json has more than 4194304 bytes"):
        open_bundle(folder)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    os.truncate(folder / GRAPH, 1 << 40)  # sparse
    with pytest.raises(BundleError, match="the bundle has more than 8589934592 bytes"):
        open_bundle(folder)


def test_deeply_nested_folders_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    (folder / "/".join("a" * 40)).mkdir(parents=True)
    with pytest.raises(BundleError, match="nested more than 16 deep"):
        open_bundle(folder)


def test_a_file_that_is_not_listed_is_refused_before_it_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "more.pb").touch()
    os.truncate(tmp_path / "more.pb", 1 << 40)
    with open_folder(tmp_path) as opened, pytest.raises(BundleFault, match=r"does not list 'more\.pb'"):
        digest_files(opened, {"other.pb"})


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=f"{tmp_path / 'none'}: the bundle cannot be read"):
        open_bundle(tmp_path / "none")
