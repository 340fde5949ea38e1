"""Restricts a decoder process, after its imports, to the system calls that decoding needs (Linux seccomp, mode filter).

A decoder reads a pipe, computes and writes a pipe. Every other call fails with EPERM: a decoder that a crafted frame
takes over opens no file and no socket, starts no program or process, and traces or signals none. libseccomp is LGPL,
and its filters are classic BPF programs of one comparison for each call, so that the program is built here.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple


class Architecture(NamedTuple):
    """AUDIT_ARCH of linux/audit.h, and numbers of system calls; `allowed` beside a signal to the process itself."""

    audit: int
    seccomp: int
    tgkill: int
    allowed: Mapping[str, int]


# The numbers are those of asm/unistd_64.h and asm-generic/unistd.h.
ARCHITECTURES: Final[Mapping[str, Architecture]] = MappingProxyType(
    {
        "x86_64": Architecture(
            audit=0xC000003E,
            seccomp=317,
            tgkill=234,
            allowed={
                "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
                "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
                "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35,
                "setitimer": 38, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98,
                "sigaltstack": 131, "gettid": 186, "futex": 202, "sched_getaffinity": 204,
                "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
                "exit_group": 231, "newfstatat": 262, "ppoll": 271, "set_robust_list": 273, "getrandom": 318,
                "membarrier": 324, "rseq": 334,
            },
        ),
        "aarch64": Architecture(
            audit=0xC00000B7,
            seccomp=277,
            tgkill=131,
            allowed={
                "close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "ppoll": 73,
                "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "set_robust_list": 99,
                "nanosleep": 101, "setitimer": 103, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
                "sched_getaffinity": 123, "sched_yield": 124, "restart_syscall": 128, "sigaltstack": 132,
                "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165,
                "gettimeofday": 169, "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215, "mremap": 216,
                "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278, "membarrier": 283, "rseq": 293,
            },
        ),
    }
)  # fmt: skip

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K (linux/bpf_common.h)
_CALL_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # in struct seccomp_data, little endian
_ALLOW, _KILL, _FAIL_EPERM = 0x7FFF0000, 0x80000000, 0x00050001  # linux/seccomp.h
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_NO_NEW_PRIVILEGES: Final = 38  # linux/prctl.h
_INSTRUCTION: Final = struct.Struct("<HBBL")


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict_process() -> str | None:
    """Restrict this process for good; None, or the reason why it is not restricted by seccomp.

    New files and sockets, and bytes in files, are limited to 0 on every system.
    """
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return f"there is no filter for {platform.machine()}"
    return _install(filter_program(architecture, os.getpid()), architecture)


def filter_program(architecture: Architecture, process: int) -> bytes:
    """The BPF program, each instruction in 8 bytes. A signal to `process` is allowed: `abort` ends it by one."""
    calls = sorted(architecture.allowed.values())
    first = 4
    fail = first + len(calls) + 3
    allow = fail + 1
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL_AT),
        *((_EQUAL, allow - at - 1, 0, call) for at, call in enumerate(calls, start=first)),
        (_EQUAL, 0, fail - (fail - 3) - 1, architecture.tgkill),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_EQUAL, 1, 0, process),
        (_RETURN, 0, 0, _FAIL_EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return _packed(program)


def _packed(program: Sequence[tuple[int, int, int, int]]) -> bytes:
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def _install(program: bytes, architecture: Architecture) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = _Program(len(program) // _INSTRUCTION.size, program)
    failed = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.syscall(
        architecture.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(descriptor)
    )
    return f"the kernel refuses a seccomp filter: {os.strerror(ctypes.get_errno())}" if failed else None
