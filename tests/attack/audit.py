"""Attacks on the audit log of the running product: `verify` shows each change of a copy of its file."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.attack.attack import Attack, Outcome, Target
from tests.running import ROOT

Lines = list[bytes]
_ACCESSES: Final = 5


def _tampered(edit: Callable[[Lines], Lines]) -> Callable[[Target], Outcome]:
    """Access the product, change a copy of its audit log, and verify the copy."""

    def run(target: Target) -> Outcome:
        audit = ROOT / ".run" / f"audit-{target.port}.jsonl"
        with target.client() as attacker, tempfile.TemporaryDirectory() as folder:
            for _ in range(_ACCESSES):
                attacker.get("/v1/jobs")
            if not audit.is_file():
                return Outcome("no audit log", held=False)
            copy = Path(shutil.copy(audit, Path(folder) / "audit.jsonl"))
            if (whole := _verify([copy])).returncode:
                return Outcome(whole.stdout[:200], held=False)
            copy.write_bytes(b"".join(edit(copy.read_bytes().splitlines(keepends=True))))
            return _found(_verify([copy]))

    return run


def _cut_tail(target: Target) -> Outcome:
    """Cut the line of the last head and those behind it; verify with the heads."""
    audit = ROOT / ".run" / f"audit-{target.port}.jsonl"
    heads = audit.with_suffix(".head")
    if not heads.is_file():
        return Outcome("no head of an audit log", held=False)
    last = json.loads(heads.read_bytes().splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "audit.jsonl"
        lines = audit.read_bytes().splitlines(keepends=True)
        copy.write_bytes(b"".join(line for line in lines if json.loads(line)["seq"] < last["seq"]))
        return _found(_verify([copy, "--head", heads]))


def _found(done: subprocess.CompletedProcess[str]) -> Outcome:
    findings = [line for line in done.stdout.splitlines() if line.startswith("BROKEN") and " chain " not in line[:15]]
    return Outcome(findings[0].partition(": ")[2] if findings else "not found", held=done.returncode == 1)


def _verify(arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.gateway.audit", "verify", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


_LIMIT: Final = "verify names the line and exits with 1"
ATTACKS: Final = (
    Attack("audit: a line changed", _LIMIT, _tampered(lambda lines: [lines[0].replace(b"{", b"{ ", 1), *lines[1:]])),
    Attack("audit: a line removed", _LIMIT, _tampered(lambda lines: [*lines[:-2], lines[-1]])),
    Attack("audit: the tail cut", "a head names the missing line", _cut_tail),
)
