import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.storage import LocalStorage, Storage
from tests.object_storage import ObjectServer


@pytest.fixture(params=["folder", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return LocalStorage(tmp_path / "folder", lambda _: None)
    if request.param == "memory":
        return ObjectStorage(f"memory://{uuid4().hex}", tmp_path / "spool")
    server: ObjectServer = request.getfixturevalue("object_server")
    return ObjectStorage(server.new_url(), tmp_path / "spool")


def test_of_eight_writers_of_each_file_one_wins(storage: Storage) -> None:
    writers, keys = range(8), [f"raced/{number}" for number in range(40)]

    def write(writer: int) -> list[str]:
        return [key for key in keys if storage.create(key, b"%d" % writer)]

    with ThreadPoolExecutor(len(writers)) as pool:
        won = list(pool.map(write, writers))
    assert sorted(key for of_writer in won for key in of_writer) == sorted(keys)
    assert all(storage.get(key) == b"%d" % writer for writer in writers for key in won[writer])


@pytest.mark.parametrize("name", ["ä b", "x%20y", "q?#[]*~", "+&=", 'it\'s "so"', "...", "%", "日本"])
def test_a_name_may_have_any_character(storage: Storage, name: str) -> None:
    assert storage.create(f"named/{name}/file", b"1")
    assert not storage.create(f"named/{name}/file", b"2")
    assert storage.get(f"named/{name}/file") == b"1"
    storage.create(f"files/{name}", b"3")
    assert [storage.names("named"), storage.names("files")] == [[name] if name[0] != "." else []] * 2
    with storage.local_copies([f"files/{name}"]) as (path,):
        assert path.read_bytes() == b"3"
    storage.remove(f"named/{name}")
    assert not storage.exists(f"named/{name}/file")


def test_a_folder_of_more_names_than_a_page_is_listed_and_removed(storage: Storage) -> None:
    names = [f"{number:04d}" for number in range(1050)]
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda name: storage.create(f"many/{name}", b""), names))
        list(pool.map(lambda name: storage.create(f"folders/{name}/file", b""), names))
    assert storage.names("many") == names
    assert storage.names("folders") == names
    storage.remove("many")
    assert storage.names("many") == []


def test_empty_and_large_files_are_stored(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    large = os.urandom(1024**2) * 100
    for name, content in (("empty", b""), ("large", large), ("manifest.jsonl", b"{}")):
        (source / name).write_bytes(content)
    storage.store_folder(source, "jobs/ann/1")
    assert storage.names("jobs/ann/1") == ["empty", "large", "manifest.jsonl"]
    with storage.local_copies(["jobs/ann/1/empty", "jobs/ann/1/large"]) as (empty, copy):
        assert empty.read_bytes() == b""
        assert copy.read_bytes() == large


def test_create_keeps_the_first_content(storage: Storage) -> None:
    assert storage.create("a/b/c", b"one")
    assert not storage.create("a/b/c", b"two")
    assert storage.get("a/b/c") == b"one"
    assert storage.exists("a/b/c")


def test_names_are_sorted_and_complete(storage: Storage) -> None:
    for name in ("b", "a", "c"):
        storage.create(f"here/{name}", b"")
    storage.create("here/a", b"")
    assert storage.names("here") == ["a", "b", "c"]
    assert storage.names("") == ["here"]
    assert storage.names("nowhere") == []


def test_a_folder_whose_last_file_was_removed_is_empty(storage: Storage) -> None:
    storage.create("open/routine/ann/1", b"")
    storage.remove("open/routine/ann/1")
    assert storage.names("open/routine/ann") == []
    storage.create("open/routine/ann/2", b"")
    assert storage.names("open/routine/ann") == ["2"]


def test_a_missing_key(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get("nothing")
    assert not storage.exists("nothing")
    storage.remove("nothing")


def test_files_and_folders_are_removed(storage: Storage) -> None:
    for key in ("job/files/1", "job/manifest", "job2/manifest"):
        storage.create(key, b"x")
    storage.remove("job")
    assert not storage.exists("job/files/1")
    storage.remove("job2/manifest")
    assert not storage.exists("job2/manifest")
    assert storage.create("job/manifest", b"again")
    storage.remove_leftovers()
    assert storage.get("job/manifest") == b"again"


def test_a_folder_is_stored_and_its_files_are_copied(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "files").mkdir(parents=True)
    (source / "manifest.jsonl").write_bytes(b"{}")
    for name in ("000001", "000002"):
        (source / "files" / name).write_bytes(name.encode())
    storage.store_folder(source, "jobs/ann/1")
    assert storage.get("jobs/ann/1/manifest.jsonl") == b"{}"
    with storage.local_copies(["jobs/ann/1/files/000002", "jobs/ann/1/files/000001"]) as paths:
        assert [path.read_bytes() for path in paths] == [b"000002", b"000001"]


def test_create_syncs_the_file_before_it_is_visible_then_its_folders(tmp_path: Path) -> None:
    synced: list[str] = []

    def sync(path: Path) -> None:
        seen = (tmp_path / "a/b/c").exists()
        synced.append(f"{path.relative_to(tmp_path)} {'after' if seen else 'before'}")

    LocalStorage(tmp_path, sync).create("a/b/c", b"content")
    part = synced.pop(2)
    assert part.startswith("a/b/.")
    assert part.endswith(" before")
    assert synced == [". before", "a before", "a/b after"]


def test_store_folder_syncs_all_files_before_the_rename(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "files").mkdir(parents=True)
    (source / "files" / "1").write_bytes(b"x")
    (source / "manifest.jsonl").write_bytes(b"{}")
    before, after = set(), []

    def sync(path: Path) -> None:
        if source.exists():
            before.add(path.relative_to(tmp_path).as_posix())
        else:
            after.append(path.relative_to(tmp_path).as_posix())

    LocalStorage(tmp_path, sync).store_folder(source, "jobs/ann/1")
    assert before == {"source", "source/files", "source/files/1", "source/manifest.jsonl", ".", "jobs"}
    assert after == ["jobs/ann"]


def test_copies_of_a_killed_process_are_removed_and_those_of_a_living_one_are_kept(tmp_path: Path) -> None:
    left, storage = tmp_path / "fetched-left", ObjectStorage(f"memory://{uuid4().hex}", tmp_path)
    left.mkdir()
    storage.create("a", b"1")
    with storage.local_copies(["a"]) as paths:
        os.utime(paths[0].parent, (0, 0))  # the age does not count: the clock may have jumped
        ObjectStorage("memory://another", tmp_path).remove_leftovers()
        assert paths[0].read_bytes() == b"1"
    assert not left.exists()
