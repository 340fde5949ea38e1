"""Sends valid and invalid requests, derived from the OpenAPI document, to the running product by Schemathesis.

python -m tests.fuzz.api --examples 200 --seed 1
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from tests.running import running_service

# Every response is below 500 and has a status, a content type and a body that the document describes.
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


def check_api(url: str, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Send about `examples` requests to each operation; the exit status is 0 if all responses pass."""
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "run", "openapi.json", "--url", url),
        *("--checks", ",".join(CHECKS), "--max-examples", str(examples), "--seed", str(seed)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--no-color"),
    ]
    with TemporaryDirectory() as folder:  # for Schemathesis' own files
        Path(folder, "openapi.json").write_text(json.dumps(strict_document(url)))
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def strict_document(url: str) -> dict[str, Any]:
    """The OpenAPI document without its `default` responses, which allow any status."""
    document: dict[str, Any] = httpx.get(f"{url}/openapi.json").raise_for_status().json()
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        del operation["responses"]["default"]
    return document


def main() -> int:
    """Start the product, send the requests, print Schemathesis' output."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.api")
    parser.add_argument("--examples", type=int, default=200, help="requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder, running_service(Path(folder, "log")) as service:
        done = check_api(service.url, options.examples, options.seed)
        answers = service.ready()
    print(done.stdout, done.stderr, "the product still answers" if answers else "the product no longer answers")
    return 0 if done.returncode == 0 and answers else 1


if __name__ == "__main__":
    sys.exit(main())
