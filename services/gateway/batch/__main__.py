"""Send a folder of head CT to a gateway in jobs, and write the reports as they arrive.

Run the same command again after an interruption (Ctrl-C, a power cut, a gateway that is down): it resumes. It creates
no job twice, and writes every report once. It also sends studies that were added to the folder in between.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.retry_policy import RetryPolicy
from services.gateway.batch.jobs_client import JobsClient
from services.gateway.batch.journal import Journal
from services.gateway.batch.outputs import FORMATS, LEFT_OUT, Outputs
from services.gateway.batch.progress import ProgressBar, succeeded, summary
from services.gateway.batch.run import Run, RunOptions
from services.gateway.batch.uploads import JobLimits, find_hidden_files, find_units
from services.gateway.client import (
    ClientError,
    GatewayClient,
    GatewayUnavailable,
    UsageError,
    add_gateway_options,
    connect,
    pluralize,
)

PROGRAM: Final = "python -m services.gateway.batch"
STATE: Final = "state.jsonl"
_FIRST_DELAY_S: Final = 1.0
_MAX_DELAY_S: Final = 30.0
_TIMEOUT_S: Final = 600.0  # the gateway answers an upload after all of it is on its disk
_MB: Final = 1_000_000
_EPILOG: Final = f"""examples:
  {PROGRAM} /data/studies reports
  {PROGRAM} /data/studies reports --url https://ct.example.org --key-file key --format csv
  {PROGRAM} /data/studies reports --priority urgent --operating-point sensitive

content of a job:
  All files of one folder are sent in one job, and so is a zip: a series must not be split over two jobs. The command
  reads sizes, not headers. If a series lies in several folders, --together 1 keeps all files below
  /data/studies/PATIENT in one job, --together 2 all files below /data/studies/PATIENT/STUDY. A folder larger than a
  job ends the command. --split cuts it by file name; a series on a cut is then assessed as two.

exit status:
  0  every file is in a finished job, and every series has a report
  1  some failed: refused or damaged files, failed or cancelled jobs, failed series; the rest has its reports
  2  the command line is wrong: an unusable folder, key or option; nothing was sent
  3  stopped: the gateway is unavailable or refused the key, or a file is unusable; run it again to resume
  130  Ctrl-C; run it again to resume
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    studies: Path
    reports: Path
    url: str
    key_file: Path | None
    format: list[str] | None
    priority: str
    operating_point: str | None
    job_files: int
    job_mb: int
    together: int | None
    split: bool
    ahead: int
    keep: bool
    patience: float

    @property
    def formats(self) -> list[str]:
        return sorted(set(self.format or FORMATS))

    @property
    def run_options(self) -> RunOptions:
        limits = JobLimits(self.job_files, self.job_mb * _MB, self.split)
        return RunOptions(limits, self.ahead, self.keep, self.priority, self.operating_point)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = Options(**vars(_parser().parse_args(arguments)))
    try:
        return _run(options)
    except UsageError as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2
    except ClientError as error:
        remedy = "; run the same command again to resume" if isinstance(error, GatewayUnavailable) else ""
        print(f"batch: {error}{remedy}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("batch: stopped; run the same command again to resume", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("studies", type=Path, help="folder to send: DICOM, PNG, zips, in any depth")
    add("reports", type=Path, help=f"folder for reports.csv, reports.ndjson, {LEFT_OUT}, {STATE}")
    add_gateway_options(parser)
    add("--format", choices=FORMATS, action="append", help="format of the reports; repeat for several (both)")
    add("--priority", choices=("routine", "urgent"), default="routine", help="queue of the jobs (%(default)s)")
    add("--operating-point", choices=("default", "sensitive", "specific"), help="thresholds (default of the site)")
    add("--job-files", type=_positive, default=2000, metavar="N", help="most files in a job (%(default)s)")
    add("--job-mb", type=_positive, default=1000, metavar="MB", help="most MB in a job, unpacked (%(default)s)")
    add("--together", type=_positive, metavar="LEVEL", help="keep files together below this level of folders")
    add("--split", action="store_true", help="cut folders that are larger than a job may be")
    add("--ahead", type=_positive, default=4, metavar="N", help="most jobs at the gateway at once (%(default)s)")
    add(
        "--keep",
        action="store_true",
        help="leave jobs at the gateway after reading their reports: its worklist shows them",
    )
    add("--patience", type=float, default=3600, metavar="SECONDS", help="longest outage of the gateway (%(default)s)")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _run(options: Options) -> int:
    http = connect(options.url, options.key_file, _TIMEOUT_S)
    if options.reports.resolve().is_relative_to(options.studies.resolve()):
        raise UsageError(f"{options.reports} lies in {options.studies}; choose a folder outside of it for the reports")
    units = find_units(options.studies, options.together)
    if hidden := find_hidden_files(options.studies):
        print(f"batch: {pluralize(len(hidden), 'hidden file')} left out, the first {hidden[0]}", file=sys.stderr)
    with (
        closing(_open_journal(options)) as journal,
        closing(Outputs(options.reports, options.formats, journal.sizes)) as outputs,
        http,
        ProgressBar(sum(unit.entries for unit in units), journal.records) as bar,
    ):
        if not units and not journal.records:
            raise UsageError(f"{options.studies}: there are no files to send")
        gateway = GatewayClient(http, RetryPolicy(_FIRST_DELAY_S, options.patience, _MAX_DELAY_S), bar.log)
        run = Run(JobsClient(gateway), journal, outputs, bar, options.run_options)
        run.complete(units)
    print("\n".join([*summary(journal.records, run.refused, run.details), *(str(path) for path in outputs.paths)]))
    return 0 if succeeded(journal.records, run.refused) else 1


def _open_journal(options: Options) -> Journal:
    options.reports.mkdir(parents=True, exist_ok=True)
    state = options.reports / STATE
    found = [*options.reports.glob("reports.*"), *options.reports.glob(LEFT_OUT)]
    if found and not state.exists():
        raise UsageError(f"{found[0]} exists without {STATE} beside it; choose another folder for the reports")
    journal = Journal(state)
    journal.begin({"format": options.formats, "priority": options.priority, "operating-point": options.operating_point})
    return journal


if __name__ == "__main__":
    sys.exit(main())
