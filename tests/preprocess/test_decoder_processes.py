"""Child processes decode frames; an aborted child affects its frame only."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Timer

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from services.common.deadline import Deadline, DeadlineExceeded, deadline_in_context
from services.common.problems import ClientClosedRequest
from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import open_dicom
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import FrameFormat
from tests.preprocess.dicom_files import ct, head_hu


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderProcesses]:
    found = DecoderProcesses()
    yield found
    found.close()


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless])
def test_children_decode(decoders: DecoderProcesses, syntax: str) -> None:
    image = open_dicom(ct(syntax)).decode(0, decoders.decompress)
    assert (image.hu == head_hu()).all()


def test_one_child_decodes_several_frames(decoders: DecoderProcesses) -> None:
    for rows in (40, 48, 56):
        file = ct(RLELossless, Rows=rows, Columns=rows)
        assert (open_dicom(file).decode(0, decoders.decompress).hu == head_hu(rows, rows)).all()
    assert decoders._idle.qsize() == 1


def test_corrupt_bytes_give_a_code(decoders: DecoderProcesses) -> None:
    codec = FrameFormat(JPEG2000Lossless, 64, 64, 16, 12, signed=False)
    with pytest.raises(UnreadableFile, match="corrupt_pixels"):
        decoders.decompress(b"\xff\x4f\xff\x51 nothing of the kind", codec)


def test_corrupt_jpegs_abort_only_their_child(decoders: DecoderProcesses) -> None:
    """gdcm calls `abort` on some of these: the result is a code, and the next frame is decoded."""
    file = ct(JPEGLosslessSV1)
    random = np.random.default_rng(11)
    start = file.index(b"\xff\xd8\xff")
    for _ in range(40):
        mutated = bytearray(file)
        for place in random.integers(start, start + 400, 6):
            mutated[place] = random.integers(256)
        try:
            open_dicom(mutated).decode(0, decoders.decompress)
        except UnreadableFile as failure:
            assert failure.code  # noqa: PT017 - either outcome is right
    assert (open_dicom(file).decode(0, decoders.decompress).hu == head_hu()).all()


def test_a_killed_child_is_replaced(decoders: DecoderProcesses) -> None:
    dicom = open_dicom(ct(RLELossless))
    dicom.decode(0, decoders.decompress)
    child = decoders._idle.queue[-1]
    child.kill()
    child.wait()
    assert (dicom.decode(0, decoders.decompress).hu == head_hu()).all()


def test_children_end_with_their_pool() -> None:
    decoders = DecoderProcesses()
    open_dicom(ct(RLELossless)).decode(0, decoders.decompress)
    (child,) = decoders._idle.queue
    decoders.close()
    assert child.poll() is not None


def test_a_child_beyond_its_time_out_is_killed() -> None:
    """The time-out is shorter than a child's start."""
    hasty = DecoderProcesses(timeout_s=0.01)
    with pytest.raises(UnreadableFile, match="too_slow"):
        open_dicom(ct(RLELossless)).decode(0, hasty.decompress)
    hasty.close()


def test_each_thread_has_a_child() -> None:
    decoders, dicom = DecoderProcesses(), open_dicom(ct(JPEGLSLossless))
    with ThreadPoolExecutor(2) as threads:
        for image in threads.map(lambda _: dicom.decode(0, decoders.decompress), range(6)):
            assert (image.hu == head_hu()).all()
    assert 1 <= decoders._idle.qsize() <= 2
    decoders.close()


_UNRESTRICTED = """
import sys
from services.preprocess.decoder_processes import serve
sys.stdout.buffer.write(bytes([10]) + b"no seccomp")
sys.stdout.buffer.flush()
serve(sys.stdin.buffer, sys.stdout.buffer)
"""


def test_a_child_that_is_not_restricted_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    decoders = DecoderProcesses(command=(sys.executable, "-c", _UNRESTRICTED))
    dicom = open_dicom(ct(RLELossless))
    for _ in range(2):
        assert (dicom.decode(0, decoders.decompress).hu == head_hu()).all()
        decoders._idle.queue[0].kill()
        decoders._idle.queue[0].wait()
    (record,) = caplog.records
    assert record.getMessage() == "decoder processes are not restricted"
    assert record.__dict__["fields"] == {"missing": "no seccomp"}
    decoders.close()


_SLEEPING = """
import sys, time
sys.stdout.buffer.write(bytes([0]))
sys.stdout.buffer.flush()
sys.stdin.buffer.read(1)
print(file=sys.stderr)
time.sleep(60)
"""


def _sleeping() -> DecoderProcesses:
    """A decoder that never answers."""
    return DecoderProcesses(command=(sys.executable, "-c", _SLEEPING))


def test_the_deadline_kills_the_decoder() -> None:
    dicom, begin = open_dicom(ct(RLELossless)), time.monotonic()
    with deadline_in_context(Deadline(begin + 0.5)), pytest.raises(DeadlineExceeded):
        dicom.decode(0, _sleeping().decompress)
    assert time.monotonic() - begin < 30


def test_a_client_that_has_gone_kills_the_decoder() -> None:
    dicom, deadline, begin = open_dicom(ct(RLELossless)), Deadline(), time.monotonic()
    Timer(0.5, deadline.cancel).start()
    with deadline_in_context(deadline), pytest.raises(ClientClosedRequest):
        dicom.decode(0, _sleeping().decompress)
    assert time.monotonic() - begin < 30


def test_a_decoder_that_hangs_is_killed_by_the_price_of_its_frame() -> None:
    begin = time.monotonic()
    with pytest.raises(UnreadableFile, match="too_slow"):
        open_dicom(ct(RLELossless)).decode(0, _sleeping().decompress)
    assert 8 <= time.monotonic() - begin < 60


def _many_scans(scans: int) -> bytes:
    """A progressive JPEG of blank 512 x 512 pixels, whose last scan is repeated."""
    packed = BytesIO()
    Image.new("L", (512, 512)).save(packed, "JPEG", progressive=True)
    codestream = packed.getvalue()[:-2]
    return codestream + codestream[codestream.rindex(b"\xff\xda") :] * scans + b"\xff\xd9"


def test_a_frame_that_takes_too_much_cpu_time_is_too_slow(decoders: DecoderProcesses) -> None:
    codec = FrameFormat(JPEGBaseline8Bit, 512, 512, 8, 8, signed=False)
    with pytest.raises(UnreadableFile, match="too_slow"):
        decoders.decompress(_many_scans(50_000), codec)
    assert not decoders.decompress(_many_scans(0), codec).any(), "another child decodes the next frame"


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, RLELossless])
def test_children_can_load_their_fast_decoders(syntax: str) -> None:
    """A restricted child opens no file, so that a decoder that is not there yet would be replaced in silence."""
    code = (
        "import sys; from services.preprocess import decompression, decoder_processes as d;"
        "decompression._by_pydicom = None; from services.preprocess.sandbox import restrict_process;"
        "responses = d._response_pipe(); restrict_process(); responses.write(bytes(1)); responses.flush();"
        "d.serve(sys.stdin.buffer, responses)"
    )
    decoders = DecoderProcesses(command=(sys.executable, "-c", code))
    assert (open_dicom(ct(syntax)).decode(0, decoders.decompress).hu == head_hu()).all()
    decoders.close()
