"""Sends a series of 512 kB slices: `python -m tests.bench.node_sender c-store|stow-rs PORT SERIES COUNT`.

SERIES is a number that makes the UIDs. Prints a line when the slices are made, and waits for one before it sends.
"""

import sys
from collections.abc import Iterator
from io import BytesIO

import httpx
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from services.dicom_node.requestor_messages import await_own_responses
from tests.scans import ct_slice

_BOUNDARY = "a-boundary"
_TYPE = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
_MADE = 20  # slices with pixels of their own


def files(series: int, count: int) -> Iterator[bytes]:
    """The slices of a series."""
    uid = f"2.25.{1000 + series}"
    made = [ct_slice(index) for index in range(_MADE)]
    for index in range(count):
        found = dcmread(BytesIO(made[index % _MADE]))
        found.StudyInstanceUID, found.SeriesInstanceUID, found.InstanceNumber = uid, f"{uid}.1", index + 1
        found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.1.{index + 1}")
        file = BytesIO()
        found.save_as(file)
        yield file.getvalue()


def by_c_store(port: int, sent: list[bytes]) -> None:
    """One association."""
    ae = AE("BENCH")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = await_own_responses(ae.associate("127.0.0.1", port, ae_title="ICH"))
    for file in sent:
        status = association.send_c_store(dcmread(BytesIO(file))).get("Status")
        assert status == 0, f"status {status}"
    association.release()


def by_stow_rs(port: int, sent: list[bytes]) -> None:
    """One request."""
    answer = httpx.post(
        f"http://127.0.0.1:{port}/dicom-web/studies",
        content=_body(sent),
        headers={"content-type": _TYPE, "accept": "application/dicom+json"},
        timeout=300,
        trust_env=False,
    )
    assert answer.status_code == httpx.codes.OK, answer.text[:200]


def _body(sent: list[bytes]) -> Iterator[bytes]:
    for file in sent:
        yield f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()


if __name__ == "__main__":
    way, port, series, count = sys.argv[1], *map(int, sys.argv[2:])
    made = list(files(series, count))
    print(flush=True)
    sys.stdin.readline()
    {"c-store": by_c_store, "stow-rs": by_stow_rs}[way](port, made)
