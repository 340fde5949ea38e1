"""Object storage that fails: errors by name, a bounded number of attempts, and no credentials anywhere."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.gateway.jobs.object_storage import ObjectStorage
from services.gateway.jobs.storage import LocalStorage
from services.gateway.jobs.storage_check import UnusableStorage, check_storage
from services.gateway.jobs.storage_errors import StorageRefused, StorageUnavailable
from tests.faulty_proxy import FaultyProxy, faulty_proxy
from tests.object_storage import ACCESS_KEY, SECRET_KEY, ObjectServer
from tests.running import free_ports

OPERATIONS: dict[str, Callable[[ObjectStorage, Path], object]] = {
    "create": lambda storage, _: storage.create("a/b", b"1"),
    "get": lambda storage, _: storage.get("a/b"),
    "exists": lambda storage, _: storage.exists("a/b"),
    "names": lambda storage, _: storage.names("a"),
    "remove": lambda storage, _: storage.remove("a"),
    "store_folder": lambda storage, folder: storage.store_folder(folder, "a"),
    "local_copies": lambda storage, _: storage.local_copies(["a/b"]).__enter__(),
}


@pytest.fixture
def proxy(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with faulty_proxy(object_server.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def storage(proxy: FaultyProxy, object_server: ObjectServer, tmp_path: Path) -> ObjectStorage:
    assert proxy.url == os.environ["AWS_ENDPOINT_URL"]
    return ObjectStorage(object_server.new_url(), tmp_path / "spool")


def check_fails(
    storage: ObjectStorage, folder: Path, log: pytest.LogCaptureFixture, kind: type[StorageUnavailable]
) -> None:
    """All operations fail with this error; no text holds a key."""
    (folder / "upload").mkdir(exist_ok=True)
    (folder / "upload/manifest.jsonl").write_bytes(b"{}")
    for name, operation in OPERATIONS.items():
        with pytest.raises(StorageUnavailable) as failed:
            operation(storage, folder / "upload")
        assert type(failed.value) is kind, name
        assert failed.value.__suppress_context__
        shown = f"{failed.value} {failed.value.detail} {log.text} {[vars(record) for record in log.records]}"
        assert [text for text in (ACCESS_KEY, SECRET_KEY, "wrong", "AWS4-HMAC", "a/b") if text in shown] == []


def test_a_server_that_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage = ObjectStorage("s3://bucket", tmp_path)
    with pytest.raises(StorageUnavailable) as failed:
        storage.get("a/b")
    assert "no answer" in failed.value.detail
    assert "wrong" not in caplog.text


def test_an_address_without_tls_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(UnusableStorage, match="AWS_ENDPOINT_URL is without TLS"):
        ObjectStorage("s3://bucket", tmp_path)


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    object_server: ObjectServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "wrong")
    check_fails(ObjectStorage(object_server.new_url(), tmp_path), tmp_path, caplog, StorageRefused)


@pytest.mark.usefixtures("object_server")
def test_a_missing_bucket_is_no_missing_file(tmp_path: Path) -> None:
    storage = ObjectStorage("s3://no-such-bucket", tmp_path)
    for name in ("create", "get", "names", "remove"):
        with pytest.raises(StorageRefused):
            OPERATIONS[name](storage, tmp_path)


def test_an_overloaded_server_is_asked_a_bounded_number_of_times(
    storage: ObjectStorage, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.faults.extend([503, 500, 429])
    assert storage.create("a/b", b"1")
    assert storage.get("a/b") == b"1"
    proxy.always, proxy.requests = 503, 0
    with pytest.raises(StorageUnavailable) as failed:
        storage.get("a/b")
    assert proxy.requests == 5
    assert "503 SlowDown" in failed.value.detail
    assert (failed.value.status, failed.value.code) == (503, "storage_unavailable")
    assert SECRET_KEY not in caplog.text


def test_a_refused_folder_of_many_files_is_given_up_at_once(
    storage: ObjectStorage, proxy: FaultyProxy, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(200):
        (source / f"{number}").write_bytes(b"1")
    proxy.always = 403
    with pytest.raises(StorageRefused):
        storage.store_folder(source, "a")
    assert proxy.requests < 100


@pytest.mark.usefixtures("storage")
def test_a_server_that_does_not_answer(object_server: ObjectServer, proxy: FaultyProxy, tmp_path: Path) -> None:
    storage = ObjectStorage(object_server.new_url(), tmp_path, read_timeout_s=0.1)
    proxy.always = "silent"
    with pytest.raises(StorageUnavailable) as failed:
        storage.create("a/b", b"1")
    assert "no answer" in failed.value.detail


def test_an_attempt_after_a_lost_answer_is_not_taken_for_another_writer(
    storage: ObjectStorage, proxy: FaultyProxy
) -> None:
    """The first attempt wrote the file; the second one met it."""
    for fault in ("lost", 500):
        key = secrets.token_hex(4)
        proxy.faults.append(fault)
        try:
            assert storage.create(key, b"1")
        except StorageUnavailable:
            assert storage.get(key) == b"1"
        assert not storage.create(key, b"2")
        assert storage.get(key) == b"1"


def test_a_conflict_that_leaves_no_file_is_no_lost_race(storage: ObjectStorage, proxy: FaultyProxy) -> None:
    """S3 answers 409 (ConditionalRequestConflict) where another request on the key runs."""
    proxy.faults.extend([409, None, 409, None])
    assert storage.create("a/b", b"1")
    assert storage.get("a/b") == b"1"
    proxy.faults.append(409)
    assert not storage.create("a/b", b"2")
    proxy.always = 409
    with pytest.raises(StorageUnavailable):
        storage.create("a/c", b"1")


def test_a_full_storage_is_a_full_disk(storage: ObjectStorage, proxy: FaultyProxy) -> None:
    proxy.always = 507
    with pytest.raises(OSError, match="full") as failed:
        storage.create("a/b", b"1")
    assert failed.value.errno is not None


def test_a_storage_without_conditional_writes_is_refused(object_server: ObjectServer, tmp_path: Path) -> None:
    class Ignoring(ObjectStorage):
        def create(self, key: str, content: bytes) -> bool:
            super().create(key, content)
            return True

    url = object_server.new_url()
    check_storage(ObjectStorage(url, tmp_path))
    check_storage(LocalStorage(tmp_path))
    with pytest.raises(UnusableStorage, match="If-None-Match"):
        check_storage(Ignoring(url, tmp_path))
    assert ObjectStorage(url, tmp_path).names("check") == []
    with pytest.raises(UnusableStorage, match="refuses access"):
        check_storage(ObjectStorage("s3://no-such-bucket", tmp_path))
