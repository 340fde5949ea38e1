import os
from pathlib import Path

import pytest

from services.gateway.jobs.fsspec_storage import RemoteShelf
from services.gateway.jobs.storage import LocalShelf, Shelf


@pytest.fixture(params=["folder", "memory", "fsspec's own folder"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    urls = {"memory": f"memory://{tmp_path.name}", "fsspec's own folder": f"file://{tmp_path}/remote"}
    if request.param in urls:
        return RemoteShelf(urls[request.param], tmp_path / "spool")
    return LocalShelf(tmp_path / "folder")


def test_the_first_who_writes_wins(shelf: Shelf) -> None:
    assert shelf.put_once("a/b/c", b"one")
    assert not shelf.put_once("a/b/c", b"two")
    assert shelf.get("a/b/c") == b"one"
    assert shelf.exists("a/b/c")


def test_names_are_sorted_and_nothing_else_is_seen(shelf: Shelf) -> None:
    for name in ("b", "a", "c"):
        shelf.put_once(f"here/{name}", b"")
    shelf.put_once("here/a", b"")
    assert shelf.names("here") == ["a", "b", "c"]
    assert "here" in shelf.names("")
    assert shelf.names("nowhere") == []


def test_what_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(FileNotFoundError):
        shelf.get("nothing")
    assert not shelf.exists("nothing")
    shelf.remove("nothing")


def test_files_and_folders_are_removed(shelf: Shelf) -> None:
    for place in ("job/files/1", "job/manifest", "job2/manifest"):
        shelf.put_once(place, b"x")
    shelf.remove("job")
    assert not shelf.exists("job/files/1")
    shelf.remove("job2/manifest")
    assert not shelf.exists("job2/manifest")
    assert shelf.put_once("job/manifest", b"anew")
    shelf.sweep()
    assert shelf.get("job/manifest") == b"anew"


def test_a_folder_is_taken_in_and_its_files_are_fetched(shelf: Shelf, tmp_path: Path) -> None:
    making = tmp_path / "making"
    (making / "files").mkdir(parents=True)
    (making / "manifest.jsonl").write_bytes(b"{}")
    for name in ("000001", "000002"):
        (making / "files" / name).write_bytes(name.encode())
    shelf.take_in(making, "jobs/ann/1")
    assert shelf.get("jobs/ann/1/manifest.jsonl") == b"{}"
    with shelf.fetched(["jobs/ann/1/files/000002", "jobs/ann/1/files/000001"]) as paths:
        assert [path.read_bytes() for path in paths] == [b"000002", b"000001"]


def test_a_file_is_on_the_disk_before_it_is_seen_and_so_is_every_new_folder(tmp_path: Path) -> None:
    synced: list[str] = []

    def sync(path: Path) -> None:
        seen = (tmp_path / "a/b/c").exists()
        synced.append(f"{path.relative_to(tmp_path)} {'after' if seen else 'before'}")

    LocalShelf(tmp_path, sync).put_once("a/b/c", b"content")
    part = synced.pop(2)
    assert part.startswith("a/b/.")
    assert part.endswith(" before")
    assert synced == [". before", "a before", "a/b after"]


def test_uploads_are_on_the_disk_before_their_folder_takes_its_place(tmp_path: Path) -> None:
    making = tmp_path / "making"
    (making / "files").mkdir(parents=True)
    (making / "files" / "1").write_bytes(b"x")
    (making / "manifest.jsonl").write_bytes(b"{}")
    before, after = set(), []

    def sync(path: Path) -> None:
        if making.exists():
            before.add(path.relative_to(tmp_path).as_posix())
        else:
            after.append(path.relative_to(tmp_path).as_posix())

    LocalShelf(tmp_path, sync).take_in(making, "jobs/ann/1")
    assert before == {"making", "making/files", "making/files/1", "making/manifest.jsonl", ".", "jobs"}
    assert after == ["jobs/ann"]


def test_a_folder_fetched_by_a_process_that_was_killed_is_swept_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / "fetched-old", tmp_path / "fetched-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    RemoteShelf("memory://swept", tmp_path).sweep()
    assert new.exists()
    assert not old.exists()
