"""Sends a series of 512 kB slices: `python -m tests.bench.node_sender c-store|stow-rs PORT SERIES FOLDER`.

SERIES is a number for the UIDs. Prints a line when the slices are read, and waits for one before it sends.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from services.dicom_node.requestor_messages import await_own_responses
from tests.scans import ct_slice

_BOUNDARY = "a-boundary"
_TYPE = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
_UID = "2.25.10000"  # of series 0
_MADE = 20  # slices with pixels of their own


def write_series(folder: Path, count: int) -> None:
    """Write the slices of series 0."""
    made = [dcmread(BytesIO(ct_slice(index))) for index in range(_MADE)]
    for index in range(count):
        found, uid = made[index % _MADE], f"{_UID}.1.{index + 1}"
        found.StudyInstanceUID, found.SeriesInstanceUID, found.InstanceNumber = _UID, f"{_UID}.1", index + 1
        found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = UID(uid)
        found.save_as(folder / f"{index:03d}.dcm")


def read_series(folder: Path, series: int) -> list[bytes]:
    """The slices with the UIDs of another series, which have the same length."""
    uid = f"2.25.{10_000 + series}".encode()
    return [path.read_bytes().replace(_UID.encode(), uid) for path in sorted(folder.iterdir())]


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
    way, port, series, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    made = read_series(folder, series)
    print(flush=True)
    sys.stdin.readline()
    {"c-store": by_c_store, "stow-rs": by_stow_rs}[way](port, made)
