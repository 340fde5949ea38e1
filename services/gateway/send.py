"""Send one head CT to a running gateway, wait for its report and print it."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.common.lazy_file import LazyFile
from services.common.retry_policy import RetryPolicy
from services.gateway.client import (
    ClientError,
    GatewayClient,
    GatewayUnreachable,
    RequestRefused,
    UsageError,
    add_gateway_options,
    connect,
    parse_object,
    pluralize,
)
from services.gateway.client_files import file_part, list_files, list_hidden_files

_BAR: Final = "█"
_BAR_WIDTH: Final = 20
_FILES_SHOWN: Final = 20
_NO_RETRY: Final = RetryPolicy(first_delay_s=1.0, give_up_s=0.0)
_PROGRAM: Final = "python -m services.gateway.send"
_EPILOG: Final = f"""examples:
  {_PROGRAM} samples/series
  {_PROGRAM} study.zip --url https://ct.example.org --key-file key --operating-point sensitive --json

exit status:
  0  the report is printed; or, without files, the gateway is ready
  1  no report: the gateway is unavailable, or refused the files
  2  the command line is wrong: a missing file, folder or key, or an unknown option
  3  the report is printed and says `not_assessed`
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    paths: list[Path]
    url: str
    key_file: Path | None
    wait: float
    timeout: float
    operating_point: str | None
    json: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = Options(**vars(_parser().parse_args(arguments)))
    try:
        report = _report(options)
    except ClientError as error:
        remedy = "; is the gateway running? See --url and --timeout" if isinstance(error, GatewayUnreachable) else ""
        print(f"send: {error}{remedy}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    if report is None:
        print(f"\n  Ready: open {options.url} in a browser. The API is described at {options.url}/docs\n", flush=True)
        return 0
    print(json.dumps(report, indent=2) if options.json else "\n".join(table(report)), flush=True)
    return 3 if report["status"] == "not_assessed" else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", nargs="*", type=Path, help="DICOM, PNG or zip files, or a folder: one series")
    add_gateway_options(parser)
    add("--wait", type=float, default=0, metavar="SECONDS", help="wait so long for a ready gateway (%(default)s)")
    add("--timeout", type=float, default=300, metavar="SECONDS", help="wait so long for the report (%(default)s)")
    add("--operating-point", choices=("default", "sensitive", "specific"), help="thresholds (default of the site)")
    add("--json", action="store_true", help="print the report as JSON; `index` then counts from 0")
    return parser


def _report(options: Options) -> dict[str, Any] | None:
    """The report; None where there is nothing to send."""
    http = connect(options.url, options.key_file, options.timeout)
    files = list_files(options.paths) if options.paths else []
    if hidden := list_hidden_files(options.paths):
        print(f"send: {pluralize(len(hidden), 'hidden file')} left out, the first {hidden[0]}", file=sys.stderr)
    with http:
        gateway = GatewayClient(http, _NO_RETRY)
        gateway.wait_until_ready(options.wait)
        return predict(gateway, files, options.operating_point) if files else None


def predict(gateway: GatewayClient, files: Sequence[Path], operating_point: str | None) -> dict[str, Any]:
    """The report of one series; ClientError with the gateway's problem where there is none."""
    query = {"operating_point": operating_point} if operating_point else {}
    parts = [file_part(file.name, LazyFile(file, file.stat().st_size)) for file in files]
    try:
        response = gateway.request("POST", "/v1/predictions", params=query, files=parts)
    except RequestRefused as refused:
        raise ClientError("\n".join([str(refused), *_bad_files(refused.reasons)])) from refused
    document = parse_object(response)
    if "status" not in document:
        raise ClientError(f"{response.status_code} {response.reason_phrase}: the response is not a report; see --url")
    return document


def _bad_files(reasons: Mapping[str, str]) -> Iterator[str]:
    """A line for each bad file. The detail of the problem names a single one."""
    if len(reasons) > 1:
        yield from (f"  {file}: {reason}" for file, reason in list(reasons.items())[:_FILES_SHOWN])
    if len(reasons) > _FILES_SHOWN:
        yield f"  and {pluralize(len(reasons) - _FILES_SHOWN, 'more file')}"


def table(report: dict[str, Any]) -> Iterator[str]:
    """The lines of a report for a terminal; slices count from 1."""
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
    yield f"{report['status']}: {pluralize(len(report['slices']), 'slice')}"
    warnings = sum(reason["severity"] == "warn" for reason in report["reasons"])
    if warnings:
        yield pluralize(warnings, "warning")
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
    prediction = "present" if present else "absent"
    reason = "; a subtype is present" if present and probability <= threshold else ""
    return f"  {label:18}{probability:7.4f}  {prediction:8} (threshold {threshold:.2f}{reason})"


if __name__ == "__main__":
    sys.exit(main())
