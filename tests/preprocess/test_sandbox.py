"""A restricted process decodes, and cannot open, connect, execute, fork, trace or signal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000Lossless

from services.preprocess.decoder_processes import DecoderProcesses
from services.preprocess.dicom_file import open_dicom
from services.preprocess.sandbox import ARCHITECTURES, filter_program
from tests.preprocess.dicom_files import ct

_ATTEMPTS = """
import ctypes, json, os, signal, socket, sys
from services.preprocess.sandbox import restrict_process
libc = ctypes.CDLL(None, use_errno=True)
parent, target, readable = os.getppid(), sys.argv[1], sys.argv[2]

def ptrace():
    if libc.ptrace(16, parent, 0, 0):
        raise OSError(ctypes.get_errno(), "ptrace")

attempts = {
    "write": lambda: open(target, "w"),
    "read": lambda: os.open(readable, os.O_RDONLY),
    "mkdir": lambda: os.mkdir(target),
    "unlink": lambda: os.unlink(readable),
    "rename": lambda: os.rename(readable, target),
    "tcp": lambda: socket.socket(),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "fork": lambda: os.fork() or os._exit(0),
    "signal": lambda: os.kill(parent, 0),
    "ptrace": ptrace,
    "memory": lambda: os.pidfd_open(parent),
    "namespace": lambda: libc.unshare(0x10000000) and (_ for _ in ()).throw(OSError(ctypes.get_errno(), "unshare")),
}
found = {"reason": restrict_process()}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = 0
    except OSError as error:
        found[name] = error.errno
found["computes"] = sum(bytearray(50_000_000)) == 0
print(json.dumps(found))
sys.stdout.flush()
os.abort()
"""


@pytest.fixture(scope="module")
def attempted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "readable").write_text("kept")
    ran = subprocess.run(
        [sys.executable, "-c", _ATTEMPTS, str(folder / "target"), str(folder / "readable")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (folder / "readable").read_text() == "kept"
    assert not (folder / "target").exists()
    found: dict[str, object] = json.loads(ran.stdout)
    return {**found, "ended": ran.returncode}


def test_every_other_call_is_refused(attempted: dict[str, object]) -> None:
    assert attempted.pop("reason") is None
    assert attempted.pop("computes") is True
    assert attempted.pop("ended") in (-6, -11), "abort ends the process"
    assert len(attempted) == 14
    assert set(attempted.values()) == {1}, "EPERM"


def test_decoder_processes_are_restricted() -> None:
    decoders = DecoderProcesses()
    open_dicom(ct(JPEG2000Lossless)).decode(0, decoders.decompress)
    status = Path(f"/proc/{decoders._idle.queue[0].pid}/status").read_text().split("\n")
    assert {"Seccomp:\t2", "NoNewPrivs:\t1"} <= set(status)
    decoders.close()


def test_decoder_processes_get_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICH_GATEWAY_REDIS_URL", "redis://:secret@redis/0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    decoders = DecoderProcesses()
    open_dicom(ct(JPEG2000Lossless)).decode(0, decoders.decompress)
    assert b"secret" not in Path(f"/proc/{decoders._idle.queue[0].pid}/environ").read_bytes()
    decoders.close()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_a_filter_ends_at_a_decision(machine: str) -> None:
    """The program as the kernel runs it: allowed calls pass, others fail, and other architectures are killed."""
    architecture = ARCHITECTURES[machine]
    program = filter_program(architecture, 77)
    allowed = set(architecture.allowed.values())
    for call in range(500):
        expected = 0x7FFF0000 if call in allowed else 0x00050001
        for process in (77, 78):
            own = call == architecture.tgkill and process == 77
            assert _run(program, architecture.audit, call, process) == (0x7FFF0000 if own else expected)
    assert _run(program, architecture.audit ^ 1, architecture.allowed["read"], 77) == 0x80000000


def _run(program: bytes, audit: int, call: int, argument: int) -> int:
    """Interpret a filter (linux/filter.h)."""
    words = {0: call, 4: audit, 16: argument}
    at, held = 0, 0
    while True:
        code = int.from_bytes(program[8 * at : 8 * at + 2], "little")
        true, false = program[8 * at + 2 : 8 * at + 4]
        value = int.from_bytes(program[8 * at + 4 : 8 * at + 8], "little")
        if code == 0x06:
            return value
        if code == 0x20:
            held, at = words[value], at + 1
        else:
            at += 1 + (true if held == value else false)


def test_a_system_without_a_filter_is_named() -> None:
    """The limits of files hold there too."""
    script = (
        "import platform, socket\n"
        "from services.preprocess import sandbox\n"
        "sandbox.platform.machine = lambda: 'riscv64'\n"
        "reason = sandbox.restrict_process()\n"
        "try:\n    socket.socket()\nexcept OSError as error:\n    print(reason, error.errno)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == f"there is no filter for riscv64 {os.EX_OK + 24}\n"
