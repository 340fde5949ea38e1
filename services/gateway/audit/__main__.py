"""`python -m services.gateway.audit`: verifies the chains of audit files, and exports their lines."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.gateway.audit.export import Export, LineNotFound, Selection
from services.gateway.audit.fhir import audit_event
from services.gateway.audit.keys import AuditKeyUnusable, read_audit_key
from services.gateway.audit.verify import read_heads, verify

BROKEN: Final = 1
UNREADABLE: Final = 2
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?)?)?Z?", re.ASCII)
_HASH: Final = re.compile("[0-9a-f]{64}")
_EPILOG: Final = """exit status: 0 where all chains are whole, 1 at a break, 2 where a file cannot be read.

A chain without a stop line belongs to a process that runs or was killed, or its tail was cut: a head shows which.
Give all files of a log, in any order: audit.jsonl audit.jsonl.1 audit.jsonl.2

example:
  python -m services.gateway.audit verify /audit/audit.jsonl* --head /audit-head/head.jsonl
"""
_EXPORT_EPILOG: Final = """exit status: 0, 1 where --after names no line of the log, 2 where a file cannot be read.

The last line on stderr names the hash to resume from. Rotated files, audit.jsonl.1 and so on, are read before the file.

example:
  python -m services.gateway.audit export /audit/audit.jsonl --format fhir --since 2026-11-01 --limit 10000 >page.ndjson
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        key = read_audit_key(options.key) if options.key else None
        return _export(options, key) if options.command == "export" else _verify(options, key)
    except BrokenPipeError:
        sys.stderr.close()  # no second message at exit
        return UNREADABLE
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    except AuditKeyUnusable as error:
        print(error, file=sys.stderr)
        return UNREADABLE


def _verify(options: argparse.Namespace, key: bytes | None) -> int:
    """Print the chains and what is wrong with them: 0 where all are whole."""
    heads = [head for path in options.head for head in read_heads(path)]
    found = verify(options.files, heads, key)
    if options.head and not heads:
        print(
            f"no head is in {', '.join(map(str, options.head))}: give the place of ICH_GATEWAY_AUDIT_HEAD",
            file=sys.stderr,
        )
        return UNREADABLE
    for line in (*found.chains.values(), *found.findings):
        print(line)
    breaks = sum(finding.is_break for finding in found.findings)
    compared = f"{len(heads)} heads" if options.head else "no heads, so a cut tail does not show"
    print(f"{len(found.chains)} chains, {breaks} breaks; compared with {compared}")
    return 0 if found.is_whole and found.chains else BROKEN


def _export(options: argparse.Namespace, key: bytes | None) -> int:
    """Print the resources of the selected lines, one a line."""
    if not options.file.is_file():
        raise FileNotFoundError(2, "No such file", str(options.file))
    export = Export(
        options.file, Selection(options.since or "", options.until or "~", options.after, options.limit), key
    )
    count = 0
    try:
        for line in export.lines():
            print(json.dumps(audit_event(line, options.gateway), separators=(",", ":")))
            count += 1
    except LineNotFound:
        print("--after names no line of the log: rotation deleted it, or it is of another log", file=sys.stderr)
        return BROKEN
    if export.other_hash:
        print(f"{export.other_hash} lines have another hash: they were changed, or --key differs", file=sys.stderr)
    if export.no_lines:
        print(f"{export.no_lines} pieces of the files are no audit lines: `verify` explains them", file=sys.stderr)
    print(f"{count} lines; resume with --after {export.last}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.gateway.audit",
        description="Read the gateway's audit log.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    verification = commands.add_parser(
        "verify",
        help="verify the chain of hashes of every process",
        description="Print each process's chain, and each line that was changed, removed, reordered or inserted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    verification.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audit files, rotated ones too")
    verification.add_argument(
        "--head", action="append", default=[], type=Path, metavar="FILE", help="file of published heads, or of syslog"
    )
    _add_export(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--key", type=Path, metavar="FILE", help="the file of ICH_GATEWAY_AUDIT_KEY_FILE, if it is set"
        )
    return parser


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "export",
        help="export lines as FHIR resources",
        description="Print an AuditEvent (FHIR R4) for each line of an audit log, one a line (NDJSON).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXPORT_EPILOG,
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the audit file; its rotated files are found")
    command.add_argument("--format", choices=["fhir"], required=True, help="fhir: AuditEvent, R4")
    command.add_argument("--since", type=_time, metavar="TIME", help="first time, UTC, as 2026-11-28T10:15Z")
    command.add_argument("--until", type=_time, metavar="TIME", help="time after the last one")
    command.add_argument("--after", type=_hash, metavar="HASH", help="hash of the last line of the export before")
    command.add_argument("--limit", type=_count, metavar="N", help="largest number of lines")
    command.add_argument(
        "--gateway", default="gateway", metavar="NAME", help="name of this gateway in the resources, such as its host"
    )


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no UTC time such as 2026-11-28 or 2026-11-28T10:15:17.642Z")
    return text.removesuffix("Z")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise argparse.ArgumentTypeError("it must have 64 hexadecimal digits")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
