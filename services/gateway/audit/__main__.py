"""`python -m services.gateway.audit verify FILE...`: verifies the chains of audit files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.gateway.audit.keys import AuditKeyUnusable, read_audit_key
from services.gateway.audit.verify import read_heads, verify

BROKEN: Final = 1
UNREADABLE: Final = 2
_EPILOG: Final = """exit status: 0 where all chains are whole, 1 at a break, 2 where a file cannot be read.

A chain without a stop line belongs to a process that runs or was killed, or its tail was cut: a head shows which.
Give all files of a log, in any order: audit.jsonl audit.jsonl.1 audit.jsonl.2

example:
  python -m services.gateway.audit verify /audit/audit.jsonl* --head /audit-head/head.jsonl
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the chains and what is wrong with them: 0 where all are whole."""
    options = _parser().parse_args(arguments)
    try:
        heads = [head for path in options.head for head in read_heads(path)]
        found = verify(options.files, heads, read_audit_key(options.key) if options.key else None)
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    except AuditKeyUnusable as error:
        print(error, file=sys.stderr)
        return UNREADABLE
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.gateway.audit",
        description="Read the gateway's audit log.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "verify",
        help="verify the chain of hashes of every process",
        description="Print each process's chain, and each line that was changed, removed, reordered or inserted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audit files, rotated ones too")
    command.add_argument(
        "--head", action="append", default=[], type=Path, metavar="FILE", help="file of published heads, or of syslog"
    )
    command.add_argument(
        "--key", type=Path, metavar="FILE", help="the file of ICH_GATEWAY_AUDIT_KEY_FILE, if it is set"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
