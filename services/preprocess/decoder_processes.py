"""Decoders in processes of their own: a corrupt file may abort one, but neither the service nor another's slice.

One corrupt JPEG in a hundred makes gdcm call `abort`. So a compressed frame goes through a pipe to a child that
decodes it under a limit of memory and time; a child that dies is replaced. On the pipe stand a request (`_REQUEST`,
then the compressed bytes) and its answer (bytes per pixel, 0 for a failure, then the pixels).
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from struct import Struct
from threading import Timer
from typing import IO, Final
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from services.preprocess.decompression import decompress_in_process
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import FrameFormat

MEMORY_BYTES: Final = 2 * 1024**3
TIMEOUT_S: Final = 20.0
_REQUEST: Final = Struct("<32sHHBB?L")
_IMPORT_ROOT: Final = Path(__file__).parents[2]

_Process = subprocess.Popen[bytes]


class DecoderProcesses:
    """Children that wait for work; as many are started as threads ask at once, the first when it is needed.

    `close()` ends them, as does forgetting this object.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._idle: LifoQueue[_Process] = LifoQueue()
        self.close = finalize(self, _end_all, self._idle)

    def decompress(self, codestream: bytes, codec: FrameFormat) -> NDArray[np.unsignedinteger]:
        """Decode one frame in a child.

        Returns
        -------
        (rows, columns) uint8 or uint16, the bits of the stored values

        Raises
        ------
        UnreadableFile
            the child could not decode the frame, took too long or died
        """
        with self._child() as child:
            _send(child, codestream, codec)
            size = _receive(child, 1)[0]
            pixels = _receive(child, codec.rows * codec.columns * size)
        if not size:
            raise UnreadableFile("corrupt_pixels")
        return np.frombuffer(pixels, f"<u{size}").reshape(codec.rows, codec.columns)

    @contextmanager
    def _child(self) -> Iterator[_Process]:
        """An idle child or a new one; it goes back only if it answered in time."""
        child = _waiting(self._idle) or _start()
        limit = Timer(self._timeout_s, child.kill)
        limit.start()
        answered = False
        try:
            yield child
            answered = True
        except (OSError, EOFError):
            raise UnreadableFile("corrupt_pixels") from None
        finally:
            limit.cancel()
            if answered:
                self._idle.put(child)
            else:
                _end(child)


def _waiting(idle: LifoQueue[_Process]) -> _Process | None:
    """A child that waits for work, if there is one that still lives."""
    with suppress(Empty):
        while (child := idle.get_nowait()).poll() is not None:
            _end(child)
        return child
    return None


def _end_all(idle: LifoQueue[_Process]) -> None:
    while child := _waiting(idle):
        _end(child)


def _start() -> _Process:
    return subprocess.Popen(
        [sys.executable, "-m", "services.preprocess.decoder_processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_IMPORT_ROOT,
        process_group=0,  # Ctrl-C in a terminal is for the service, which lets its work end first
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )


def _end(child: _Process) -> None:
    child.kill()
    child.communicate()


def _send(child: _Process, codestream: bytes, codec: FrameFormat) -> None:
    assert child.stdin  # noqa: S101 - for the type checker; it was opened as a pipe
    syntax, *shape = codec
    child.stdin.write(_REQUEST.pack(syntax.encode(), *shape, len(codestream)))
    child.stdin.write(codestream)
    child.stdin.flush()


def _receive(child: _Process, size: int) -> bytes:
    assert child.stdout  # noqa: S101 - for the type checker; it was opened as a pipe
    return _exactly(child.stdout, size)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        raise EOFError
    return found


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The child: answer requests until there are no more."""
    while request := requests.read(_REQUEST.size):
        syntax, rows, columns, allocated, stored, signed, length = _REQUEST.unpack(request)
        codec = FrameFormat(syntax.rstrip(b"\0").decode(), rows, columns, allocated, stored, signed)
        pixels = _attempt(_exactly(requests, length), codec)
        answers.write(bytes([0 if pixels is None else pixels.itemsize]))
        answers.write(b"" if pixels is None else pixels.tobytes())
        answers.flush()


def _attempt(codestream: bytes, codec: FrameFormat) -> NDArray[np.unsignedinteger] | None:
    try:
        return decompress_in_process(codestream, codec)
    except UnreadableFile:
        return None


def _own_stdout() -> IO[bytes]:
    """The pipe to the parent; what decoders print goes nowhere, for it would stand among the pixels."""
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(pipe, "wb")


if __name__ == "__main__":
    with suppress(ValueError):  # some systems know no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, _own_stdout())
