"""The DICOM node's receivers store in its registry what preprocess reads, byte for byte."""

import socket
import threading
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI
from pydicom import dcmread

from services.common.connections.client_address import Proxies
from services.common.connections.server_options import SERVER_OPTIONS
from services.common.connections.table import CONNECTIONS, PROXIES, ConnectionLimits, ConnectionTable
from services.dicom_node.receive.read_header import read_header as read_at_node
from services.dicom_node.receive.supported import CT_CLASSES, TRANSFER_SYNTAXES
from services.dicom_node.receive.unreadable import UnreadableInstance
from services.dicom_node.registry.database import Database
from services.dicom_node.registry.registry import Registry
from services.dicom_node.settings import Settings
from services.preprocess.dicom_file import open_dicom
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import CT_CLASSES as READ_CLASSES
from services.preprocess.header import SUPPORTED, DicomHeader
from services.preprocess.header_reader import read_header
from tests.dicom_node.receive.dimse_sender import associate, receiving, send, send_as_is
from tests.dicom_node.receive.stow_client import multipart, post, stow_app, stow_client
from tests.preprocess.corpus import IN_THE_WHEEL, files_under, relabelled
from tests.preprocess.dicom_files import Entry
from tests.preprocess.generated_files import generated
from tests.scans import series


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "node", dicom_port=0)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    settings.data_dir.mkdir()
    with closing(Database(settings.data_dir / "registry.sqlite")) as database:
        yield Registry.create(database, settings)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """pydicom warns of unusual files in this corpus."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def stored_files(registry: Registry) -> dict[str, bytes]:
    """The stored files by SOPInstanceUID."""
    with registry.database.read() as connection:
        rows = connection.execute("SELECT sop_instance_uid, path FROM instances").fetchall()
    return {row["sop_instance_uid"]: (registry.folder.path / row["path"]).read_bytes() for row in rows}


def test_the_same_classes_and_syntaxes() -> None:
    assert set(TRANSFER_SYNTAXES) == SUPPORTED
    assert set(CT_CLASSES) == READ_CLASSES


def numbered(entry: Entry, number: int) -> bytes:
    """The file with another SOPInstanceUID of the same length."""
    return entry.data.replace(b"1.2.3.1", b"1.%d.1" % (100 + number))


def test_every_syntax_is_stored_as_sent_and_read_as_before(
    settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    sent: dict[str, tuple[Entry, bytes]] = {}
    syntaxes = set()
    path = tmp_path / "file.dcm"
    with receiving(settings, registry.inbox) as receiver:
        sender = associate(receiver.port)
        for number, entry in enumerate(entry for entry in generated() if entry.name != "deflated"):
            data = numbered(entry, number)
            found = read_at_node(written(path, data))
            assert send_as_is(sender, path) == 0
            sent[found.instance.sop_instance_uid] = entry, data[found.dataset_at :]
            syntaxes.add(found.instance.transfer_syntax_uid)
        sender.release()
    assert syntaxes == SUPPORTED
    for uid, stored in stored_files(registry).items():
        entry, dataset = sent.pop(uid)
        assert stored.endswith(dataset)
        assert np.array_equal(open_dicom(stored).decode(0).hu, open_dicom(entry.data).decode(0).hu)
    assert not sent


def written(path: Path, file: bytes) -> Path:
    path.write_bytes(file)
    return path


@pytest.mark.anyio
async def test_both_receivers_store_the_same_series(settings: Settings, registry: Registry) -> None:
    files = list(series(4).values())
    with receiving(settings, registry.inbox) as receiver:
        sender = associate(receiver.port)
        assert send(sender, files[:2]) == [0, 0]
        sender.release()
    async with stow_client(stow_app(settings, registry.inbox)) as client:
        answer = await post(client, multipart(files))
    assert answer.status_code == 200
    assert len(answer.json()["00081199"]["Value"]) == 4
    assert len(stored_files(registry)) == 4
    with registry.database.read() as connection:
        outcomes = [row["outcome"] for row in connection.execute("SELECT outcome FROM transfers ORDER BY id")]
        assert connection.execute("SELECT count(*) AS n FROM series").fetchone()["n"] == 1
    assert outcomes == ["released", "released"]


def test_dicomweb_client_reads_the_response(settings: Settings, registry: Registry) -> None:
    """An independent client, over HTTP with the server's own protocol."""
    table = ConnectionTable(ConnectionLimits.of(settings))
    with served(stow_app(settings, registry.inbox), table) as port:
        client = DICOMwebClient(f"http://127.0.0.1:{port}/dicom-web")
        sent = [dcmread(BytesIO(file)) for file in series(2).values()]
        answer = client.store_instances(sent, "2.25.1")
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == ["2.25.10.1", "2.25.10.2"]
        assert "FailedSOPSequence" not in answer
        sent[0].StudyInstanceUID = "2.25.2"
        mixed = client.store_instances(sent, "2.25.1")
        assert [item.FailureReason for item in mixed.FailedSOPSequence] == [0xC409]
    assert len(stored_files(registry)) == 2


@contextmanager
def served(app: FastAPI, table: ConnectionTable) -> Iterator[int]:
    """The port of a server with bounded connections in a thread."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, object]]:
        yield {CONNECTIONS: table, PROXIES: Proxies()}

    app.router.lifespan_context = lifespan
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **SERVER_OPTIONS))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_headers_are_those_that_preprocess_reads(tmp_path: Path) -> None:
    """Of every file in pydicom's wheel, also relabelled as CT."""
    files, compared = files_under(IN_THE_WHEEL), Counter[str]()
    for entry in [*generated(), *files, *relabelled(files)]:
        at_node, at_preprocess = node_header(written(tmp_path / "file", entry.data)), preprocess_header(entry.data)
        if isinstance(at_preprocess, DicomHeader) and not isinstance(at_node, str):
            assert at_node == fields(at_preprocess), entry.name
            compared["equal"] += 1
        elif isinstance(at_preprocess, DicomHeader):
            compared[at_node if isinstance(at_node, str) else ""] += 1
    assert compared.pop("equal") > 150
    assert set(compared) == {"invalid_uid"}  # preprocess reads files without UIDs, too


def node_header(path: Path) -> tuple[object, ...] | str:
    try:
        found = read_at_node(path).instance
    except UnreadableInstance as error:
        return error.code
    return (
        found.study_instance_uid, found.series_instance_uid, found.sop_instance_uid, found.sop_class_uid,
        found.transfer_syntax_uid, found.modality, found.number_of_frames, found.instance_number,
        found.body_part_examined, found.slice_thickness_mm, found.image_orientation, found.convolution_kernel,
        found.image_type,
    )  # fmt: skip


def preprocess_header(file: bytes) -> DicomHeader | None:
    try:
        found = read_header(file, len(file))
    except UnreadableFile:
        return None
    return found if found.is_ct_slice else None


def fields(header: DicomHeader) -> tuple[object, ...]:
    frame = header.frames[0]
    return (
        header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid, header.sop_class_uid,
        header.transfer_syntax, header.modality, header.number_of_frames, header.instance_number,
        header.body_part_examined, frame.slice_thickness_mm, frame.image_orientation, frame.convolution_kernel,
        frame.image_type,
    )  # fmt: skip
