"""Decompresses frames in child processes, so that a decoder that aborts ends neither the service nor another slice.

One corrupt JPEG in a hundred makes gdcm call `abort`. A child decodes one frame at a time, with limits of memory and of
CPU time; a child that dies is replaced. At its start a child restricts itself (`sandbox.py`), and sends the reason
where it could not. Then the pipe carries requests (`_REQUEST`, then the compressed bytes) and responses (bytes per
pixel, 0 for a failure, then the pixels).
"""

import fcntl
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from struct import Struct
from threading import Event, Timer
from typing import IO, Final
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from services.common.deadline import current_deadline
from services.common.file_codes import TOO_SLOW
from services.preprocess.decoding_cost import decoding_cpu_s, decoding_timeout_s
from services.preprocess.decompression import decompress_in_process
from services.preprocess.errors import UnreadableFile
from services.preprocess.header import FrameFormat
from services.preprocess.sandbox import restrict_process

log = logging.getLogger(__name__)
MEMORY_BYTES: Final = 2 * 1024**3
TIMEOUT_S: Final = 20.0
_END_S: Final = 5.0
_PIPE_BYTES: Final = 1024**2  # the most that Linux allows every user
_REQUEST: Final = Struct("<32sHHBB?L")
# pydicom imports `requests` where it is installed, which would take 8 MB of each child.
_ENTRY: Final = """
import runpy, sys
sys.modules["requests"] = None
runpy.run_module("services.preprocess.decoder_processes", run_name="__main__")
"""
_COMMAND: Final = (sys.executable, "-c", _ENTRY)
_SETTINGS: Final = ("ICH_", "OTEL_", "AWS_", "AZURE_", "GOOGLE_")
_IMPORT_ROOT: Final = Path(__file__).parents[2]

_Process = subprocess.Popen[bytes]


class DecoderProcesses:
    """A pool of child processes, started on demand: one per thread that decodes at the same time.

    `close()` ends them, as does the garbage collection of this object.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S, command: Sequence[str] = _COMMAND) -> None:
        self._timeout_s = timeout_s
        self._command = command
        self._warned = False
        self._idle: LifoQueue[_Process] = LifoQueue()
        self.close = finalize(self, _end_all, self._idle)

    def decompress(self, codestream: bytes, frame_format: FrameFormat) -> NDArray[np.unsignedinteger]:
        """Decompress one frame in a child.

        Returns
        -------
        (rows, columns) uint8 or uint16, the bits of the stored values

        Raises
        ------
        UnreadableFile
            the child could not decode the frame, or died; `too_slow` where it exceeded its time-out
        DeadlineExceeded, ClientClosedRequest
            the current deadline ended the work, and with it the child
        """
        seconds = min(self._timeout_s, decoding_timeout_s(frame_format))
        with self._child() as child, _killed_after(child, seconds):
            _send(child, codestream, frame_format)
            size = _receive(child, 1)[0]
            pixels = _receive(child, frame_format.rows * frame_format.columns * size)
        if not size:
            raise UnreadableFile("corrupt_pixels")
        return np.frombuffer(pixels, f"<u{size}").reshape(frame_format.rows, frame_format.columns)

    @contextmanager
    def _child(self) -> Iterator[_Process]:
        """An idle or new child; it returns to the pool only if it answered in time."""
        idle = _take_idle(self._idle)
        child = idle or _start(self._command)
        answered = False
        try:
            if not idle:
                with _killed_after(child, self._timeout_s):
                    self._check_restricted(child)
            yield child
            answered = True
        except (OSError, EOFError):
            raise UnreadableFile("corrupt_pixels") from None
        finally:
            if answered:
                self._idle.put(child)
            else:
                _end(child)

    def _check_restricted(self, child: _Process) -> None:
        """Log once where a new child runs without restrictions."""
        reason = _receive(child, _receive(child, 1)[0]).decode()
        if reason and not self._warned:
            self._warned = True
            log.warning("decoder processes are not restricted", extra={"fields": {"missing": reason}})


@contextmanager
def _killed_after(child: _Process, seconds: float) -> Iterator[None]:
    """Kill the child after so many seconds, or when the current deadline ends the work.

    Raises
    ------
    UnreadableFile
        the seconds have passed
    DeadlineExceeded, ClientClosedRequest
        the deadline ended the work
    """
    deadline, too_slow = current_deadline(), Event()

    def kill() -> None:
        too_slow.set()
        child.kill()

    timer = Timer(min(seconds, deadline.remaining_s), kill)
    timer.start()
    try:
        with deadline.ending(child.kill):
            yield
    except (OSError, EOFError):
        deadline.check()
        if too_slow.is_set() or _exceeded_cpu_time(child):
            raise UnreadableFile(TOO_SLOW) from None
        raise
    finally:
        timer.cancel()


def _exceeded_cpu_time(child: _Process) -> bool:
    """Whether the timer of its CPU time ended a child whose pipe has closed."""
    try:
        return child.wait(_END_S) == -signal.SIGPROF
    except subprocess.TimeoutExpired:
        return False


def _take_idle(idle: LifoQueue[_Process]) -> _Process | None:
    """A live idle child, if there is one."""
    with suppress(Empty):
        while (child := idle.get_nowait()).poll() is not None:
            _end(child)
        return child
    return None


def _end_all(idle: LifoQueue[_Process]) -> None:
    while child := _take_idle(idle):
        _end(child)


def _start(command: Sequence[str]) -> _Process:
    child = subprocess.Popen(  # noqa: S603 - this module, or a test's
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_IMPORT_ROOT,
        process_group=0,  # Ctrl-C in a terminal goes to the service only, which completes its work first
        env={**_without_settings(os.environ), "OPENBLAS_NUM_THREADS": "1"},
    )
    _enlarge_pipes(child)
    return child


def _enlarge_pipes(child: _Process) -> None:
    """Let pipes hold a frame, so that neither process waits for the other amid it (Linux; 64 KiB otherwise)."""
    assert child.stdin and child.stdout  # noqa: S101, PT018 - for the type checker: opened as pipes
    with suppress(AttributeError, OSError):  # other systems have no such call, and users have a limit
        fcntl.fcntl(child.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        fcntl.fcntl(child.stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of services and storages: a decoder needs none, and some are secrets."""
    return {name: value for name, value in environment.items() if not name.startswith(_SETTINGS)}


def _end(child: _Process) -> None:
    child.kill()
    child.communicate()


def _send(child: _Process, codestream: bytes, frame_format: FrameFormat) -> None:
    assert child.stdin  # noqa: S101 - for the type checker: opened as a pipe
    syntax, *shape = frame_format
    child.stdin.write(_REQUEST.pack(syntax.encode(), *shape, len(codestream)))
    child.stdin.write(codestream)
    child.stdin.flush()


def _receive(child: _Process, size: int) -> bytes:
    assert child.stdout  # noqa: S101 - for the type checker: opened as a pipe
    return _read_exactly(child.stdout, size)


def _read_exactly(pipe: IO[bytes], size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        raise EOFError
    return found


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """In the child: answer requests until the pipe closes."""
    while request := requests.read(_REQUEST.size):
        syntax, rows, columns, allocated, stored, signed, length = _REQUEST.unpack(request)
        frame_format = FrameFormat(syntax.rstrip(b"\0").decode(), rows, columns, allocated, stored, signed)
        codestream = _read_exactly(requests, length)
        signal.setitimer(signal.ITIMER_PROF, decoding_cpu_s(frame_format))  # its signal ends this process
        pixels = _decompress(codestream, frame_format)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(bytes([0 if pixels is None else pixels.itemsize]))
        answers.write(b"" if pixels is None else np.ascontiguousarray(pixels).data)
        answers.flush()


def _decompress(codestream: bytes, frame_format: FrameFormat) -> NDArray[np.unsignedinteger] | None:
    try:
        return decompress_in_process(codestream, frame_format)
    except UnreadableFile:
        return None


def _response_pipe() -> IO[bytes]:
    """The pipe to the parent; output that decoders print goes to standard error, not among the pixels."""
    pipe = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(pipe, "wb")


if __name__ == "__main__":
    with suppress(ValueError):  # unsupported on some systems
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    responses = _response_pipe()
    missing = (restrict_process() or "").encode()
    responses.write(bytes([len(missing)]) + missing)
    responses.flush()
    serve(sys.stdin.buffer, responses)
