"""Send one head CT to a running gateway, wait for its report and print it."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from services.gateway.client import (
    Failure,
    SentFile,
    WrongUsage,
    add_gateway_options,
    authorization,
    counted,
    files_of,
    hidden_in,
    part,
    problem_of,
    unreachable,
    wait_until_ready,
)

_BAR: Final = "█"
_BAR_WIDTH: Final = 20
_FILES_SHOWN: Final = 20
_KEY_REFUSED: Final = (401, 403)
_PROGRAM: Final = "python -m services.gateway.send"
_EPILOG: Final = f"""examples:
  {_PROGRAM} samples/series
  {_PROGRAM} study.zip --url https://ct.example.org --key-file key --operating-point sensitive --json

exit status:
  0  the report is there; or, without files, the gateway is ready
  1  there is no report: the gateway does not answer, or refused the files
  2  the command line is wrong: a file, a folder or a key that is not there, an unknown option
  3  the report is there and says `not_assessed`: a rule of refusal stands
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = _report(options)
    except Failure as failure:
        print(f"send: {failure}", file=sys.stderr)
        return 2 if isinstance(failure, WrongUsage) else 1
    if report is None:
        return 0
    _say(json.dumps(report, indent=2) if options.json else "\n".join(table(report)))
    return 3 if report["status"] == "not_assessed" else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", type=Path, help="DICOM, PNG or zip files, or a folder: one series")
    add_gateway_options(parser)
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="until it is ready (%(default)s)")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for the report (%(default)s)")
    parser.add_argument("--operating-point", choices=("default", "sensitive", "specific"), help="(the site's)")
    parser.add_argument("--json", action="store_true", help="print the report as it came; `index` is then from 0")
    return parser


def _report(options: argparse.Namespace) -> dict[str, Any] | None:
    """The report; None where there is nothing to send."""
    headers, files = authorization(options.key_file), files_of(options.paths) if options.paths else []
    if hidden := hidden_in(options.paths):
        print(f"send: {counted(len(hidden), 'hidden file')} left out, the first {hidden[0]}", file=sys.stderr)
    timeout = httpx.Timeout(options.timeout, connect=5)
    with httpx.Client(base_url=options.url, timeout=timeout, headers=headers) as client:
        wait_until_ready(client, options.wait)
        if files:
            return predict(client, files, options.operating_point)
    _say(f"\n  Ready: open {options.url} in a browser. The API is described at {options.url}/docs\n")
    return None


def predict(client: httpx.Client, files: Sequence[Path], operating_point: str | None) -> dict[str, Any]:
    """The report of one series; Failure in the gateway's own words where there is none."""
    query = {"operating_point": operating_point} if operating_point else {}
    parts = [part(file.name, SentFile(file, file.stat().st_size)) for file in files]
    try:
        answer = client.post("/v1/predictions", params=query, files=parts)
    except httpx.TransportError as error:
        raise Failure(unreachable(client, error)) from error
    document = problem_of(answer)
    if answer.is_error or "status" not in document:
        raise Failure("\n".join(_refusal(answer, document)))
    return document


def _refusal(answer: httpx.Response, problem: dict[str, Any]) -> Iterator[str]:
    """A problem, with all of its files where it is about several."""
    title = problem.get("title", answer.reason_phrase)
    key = "; give the key by --key-file or in ICH_KEY" if answer.status_code in _KEY_REFUSED else ""
    yield f"{answer.status_code} {title}: {problem.get('detail', 'the answer is no report')}{key}"
    files = problem.get("files", ())
    if len(files) > 1:
        yield from (f"  {file['file']}: {file['reason']}" for file in files[:_FILES_SHOWN])
    if len(files) > _FILES_SHOWN:
        yield f"  and {counted(len(files) - _FILES_SHOWN, 'more file')}"


def table(report: dict[str, Any]) -> Iterator[str]:
    """A report, line by line, for a terminal; slices are numbered from 1."""
    yield ", ".join(_summary(report))
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


def _summary(report: dict[str, Any]) -> Iterator[str]:
    yield f"{report['status']}: {counted(len(report['slices']), 'slice')}"
    warnings = sum(reason["severity"] == "warn" for reason in report["reasons"])
    if warnings:
        yield counted(warnings, "warning")
    yield f"{report['timings_ms']['total']:.0f} ms"


def _slice_rows(report: dict[str, Any]) -> Iterator[str]:
    if not any(item["probabilities"] for item in report["slices"]):
        return
    yield f"\n  {'slice':>5} {'mm':>8}  {'any':>6}  file"
    for item in report["slices"]:
        mark = "*" if item["index"] in report["key_slices"] else " "
        probability = item["probabilities"]["any"]
        bar = _BAR * round(probability * _BAR_WIDTH)
        yield f" {mark}{item['index'] + 1:5d} {item['position_mm']:8.1f}  {probability:6.3f}  {item['file']:24} {bar}"


def _row(label: str, probability: float, present: bool, threshold: float) -> str:  # noqa: FBT001 - a row of a table
    word = "present" if present else "absent"
    why = "; a subtype is present" if present and probability <= threshold else ""
    return f"  {label:18}{probability:7.4f}  {word:8} (threshold {threshold:.2f}{why})"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
