"""`python -m tests.sbom`: writes a CycloneDX document for each dependency group, and checks it against its lock.

The documents list Python packages. The base images have bills of their own, by their digests.
Exits with 1 where a document is not valid, lacks a package or hash of its lock, or a licence is missing or not allowed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.running import ROOT
from tests.sbom.documents import LOCKS, faults, sbom
from tests.sbom.licences import Licences


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all documents: 0 where they are right."""
    parser = argparse.ArgumentParser(prog="python -m tests.sbom", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / ".run" / "sbom", metavar="DIR", help="folder to write to")
    folder: Path = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    licences = Licences.read()
    found: list[str] = []
    for group in sorted(path.stem for path in LOCKS.glob("*.txt") if path.stem != "all"):
        document = sbom(group, licences)
        (folder / f"{group}.cdx.json").write_text(json.dumps(document, indent=1) + "\n")
        found += faults(group, document, licences)
        print(f"{group:14}{len(document['components']):5} packages")
    print("\n".join(found) if found else f"Written to {folder}: valid CycloneDX, all packages and hashes of the locks.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
