"""`python -m tests.attack.document BEFORE NOW`: writes docs/reference/attacks.md from the rows of two runs.

.venv/bin/python -m tests.attack --json now.json           in this version; --once --json before.json in the earlier one
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.running import ROOT

_DOCUMENT: Final = ROOT / "docs" / "reference" / "attacks.md"
_SLOW_S, _SLOW_LIVEZ_S, _LARGE_MB = 10, 0.5, 200  # from these on, a figure of the earlier version is harm
_BEGIN, _END = "<!-- rows -->\n", "<!-- end of rows -->\n"
_HEADER: Final = (
    "| attack | limit | before | now | s | MB | 200s of the other sender | `/livez`, s |\n"
    "|---|---|---|---|---:|---:|---:|---:|\n"
)
Rows = Mapping[str, Mapping[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Replace the table in the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack.document", description=__doc__)
    parser.add_argument("before", type=Path, help="rows of the earlier version")
    parser.add_argument("now", type=Path, help="rows of this version")
    options = parser.parse_args(arguments)
    head, rest = _DOCUMENT.read_text().split(_BEGIN)
    table = _HEADER + "".join(table_lines(read_rows(options.before), read_rows(options.now)))
    _DOCUMENT.write_text(head + _BEGIN + table + _END + rest.split(_END)[1])
    return 0


def read_rows(path: Path) -> Rows:
    """The rows of a run by name."""
    return {row["name"]: row for row in json.loads(path.read_text())}


def table_lines(before: Rows, now: Rows) -> Iterator[str]:
    """One line an attack, in the order of this version's run."""
    for name, row in now.items():
        earlier = _effect(before[name]) if name in before else ""
        figures = (f"{row['seconds']:.1f}", row["memory_mb"], f"{row['share']:.0%}", f"{row['livez_s']:.2f}")
        yield _line(name, row["limit"], earlier, row["answer"], *figures)


def _effect(row: Mapping[str, Any]) -> str:
    """The answer of the earlier version, and the harm that it did."""
    harm = [
        f"{row['seconds']:.0f} s" if row["seconds"] >= _SLOW_S else "",
        f"{row['memory_mb']} MB" if row["memory_mb"] >= _LARGE_MB else "",
        f"other sender {row['share']:.0%}" if row["share"] < 1 else "",
        f"`/livez` {row['livez_s']:.1f} s" if row["livez_s"] >= _SLOW_LIVEZ_S else "",
    ]
    return "; ".join([row["answer"], *(part for part in harm if part)])


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.exit(main())
