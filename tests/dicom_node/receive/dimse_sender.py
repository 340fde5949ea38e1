"""A sender by C-STORE for tests."""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    Verification,
)

from services.dicom_node.inbox import Inbox
from services.dicom_node.receive.dimse import DimseReceiver, OnCommitment
from services.dicom_node.receive.supported import TRANSFER_SYNTAXES
from services.dicom_node.requestor_messages import await_own_responses
from services.dicom_node.settings import Settings

CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


@contextmanager
def receiving(settings: Settings, inbox: Inbox, on_commitment: OnCommitment | None = None) -> Iterator[DimseReceiver]:
    receiver = DimseReceiver(settings, inbox, on_commitment)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def associate(
    port: int,
    *,
    called: str = "ICH",
    calling: str = "CT1",
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> Association:
    """An association, established or rejected."""
    ae = AE(calling)
    ae.add_requested_context(Verification)
    for number, syntax in enumerate(TRANSFER_SYNTAXES):
        for sop_class in CLASSES[: 3 if number < 2 else 1]:  # 128 contexts are the most
            ae.add_requested_context(sop_class, syntax)
    made = ae.associate(host, port, ae_title=called, tls_args=(tls, "localhost") if tls else None)
    return await_own_responses(made)


def send(association: Association, files: Iterable[bytes]) -> list[int]:
    """The statuses of files sent one after another."""
    return [association.send_c_store(dcmread(BytesIO(file))).Status for file in files]


def send_as_is(association: Association, path: Path) -> int:
    """The status of a file whose data set is sent byte for byte."""
    before, _config.STORE_SEND_CHUNKED_DATASET = _config.STORE_SEND_CHUNKED_DATASET, True
    try:
        return int(association.send_c_store(path).Status)
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before
