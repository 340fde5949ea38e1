"""`python -m services.gateway.send`: send files, a folder or a zip to a running gateway and print the report."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from services.gateway.client import Failure, SentFile, files_of, part, wait_until_ready

_BAR: Final = "█"
_BAR_WIDTH: Final = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where there is a report (or, with no files, where the gateway is ready)."""
    options = _parser().parse_args(arguments)
    try:
        with httpx.Client(base_url=options.url, timeout=httpx.Timeout(options.timeout, connect=5)) as client:
            wait_until_ready(client, options.wait)
            if not options.paths:
                _say(f"\n  Ready: open {options.url} in a browser. The API is described at {options.url}/docs\n")
                return 0
            report = predict(client, files_of(options.paths), options.operating_point)
    except Failure as failure:
        print(f"send: {failure}", file=sys.stderr)
        return 1
    _say(json.dumps(report, indent=2) if options.json else "\n".join(table(report)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.send", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="DICOM, PNG or zip files, or a folder: one series")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the gateway (%(default)s)")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="wait so long for it to be ready")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for the report (%(default)s)")
    parser.add_argument("--operating-point", choices=("default", "sensitive", "specific"))
    parser.add_argument("--json", action="store_true", help="print the report as it came")
    return parser


def predict(client: httpx.Client, files: Sequence[Path], operating_point: str | None) -> dict[str, Any]:
    """The report of one series; Failure in the gateway's own words where there is none."""
    query = {"operating_point": operating_point} if operating_point else {}
    parts = [part(file.name, SentFile(file, file.stat().st_size)) for file in files]
    try:
        answer = client.post("/v1/predictions", params=query, files=parts)
    except httpx.TransportError as error:
        raise Failure(f"{client.base_url} did not answer ({type(error).__name__})") from error
    document: dict[str, Any] = answer.json()
    if answer.is_error:
        raise Failure(f"{answer.status_code} {document['title']}: {document['detail']}")
    return document


def table(report: dict[str, Any]) -> Iterator[str]:
    """A report, line by line, for a terminal."""
    yield f"{report['status']}: {len(report['slices'])} slices, {report['timings_ms']['total']:.0f} ms"
    for reason in report["reasons"]:
        yield f"  {reason['severity']}: {reason['detail']}"
    series = report["series"]
    if series and series["probabilities"]:
        yield ""
        thresholds = report["thresholds"]["series"]
        for label, probability in series["probabilities"].items():
            yield _row(label, probability, series["predictions"][label], thresholds[label])
    yield from _slice_rows(report)
    model = report["model"]
    yield f"\nbundle {model['name']} ({model['sha256'][:12]}), recipe {model['recipe']}"
    yield report["disclaimer"]


def _slice_rows(report: dict[str, Any]) -> Iterator[str]:
    if not any(item["probabilities"] for item in report["slices"]):
        return
    yield f"\n  {'slice':>5} {'mm':>8}  {'any':>6}  file"
    for item in report["slices"]:
        mark = "*" if item["index"] in report["key_slices"] else " "
        probability = item["probabilities"]["any"]
        bar = _BAR * round(probability * _BAR_WIDTH)
        yield f" {mark}{item['index']:5d} {item['position_mm']:8.1f}  {probability:6.3f}  {item['file']:24} {bar}"


def _row(label: str, probability: float, present: bool, threshold: float) -> str:  # noqa: FBT001 - a row of a table
    word = "present" if present else "absent"
    return f"  {label:18}{probability:7.4f}  {word:8} (threshold {threshold:.2f})"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
