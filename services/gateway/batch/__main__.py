"""Send a folder of head CT to a gateway in jobs, and write the reports as they come.

A run that was broken off (Ctrl-C, a power cut, a gateway that went away) goes on where it stopped when the same command
is run again: no job is made twice, no report is written twice or missed. Studies that came to the folder meanwhile are
sent, too.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import httpx

from services.gateway.batch.jobs_client import Errands, Patience
from services.gateway.batch.journal import Journal
from services.gateway.batch.outputs import FORMATS, LEFT_OUT, Outputs
from services.gateway.batch.progress import Bar, all_well, summary
from services.gateway.batch.run import Run, Wishes
from services.gateway.batch.uploads import Bounds, Unit, hidden_below, units_of
from services.gateway.client import Failure, WrongUsage, add_gateway_options, authorization, counted

PROGRAM: Final = "python -m services.gateway.batch"
STATE: Final = "state.jsonl"
_REST_S: Final = 1.0
_ANSWER_S: Final = 600.0  # a job is answered only when all of it is safe on a disk
_MB: Final = 1_000_000
_EPILOG: Final = f"""examples:
  {PROGRAM} /data/studies reports
  {PROGRAM} /data/studies reports --url https://ct.example.org --key-file key --format csv
  {PROGRAM} /data/studies reports --priority urgent --operating-point sensitive

what goes in one job:
  Files of one folder go in one job, and a zip does, so that no series is split over two. Only sizes are looked at.
  Where a series lies in several folders, --together 1 keeps all below /data/studies/PATIENT in one job, --together 2
  all below /data/studies/PATIENT/STUDY. A folder that is larger than a job may be ends the command; --split cuts it in
  the order of names, and a series that lies on a cut is then assessed as two.

exit status:
  0  every file went into a job that finished, and every series has a report
  1  some could not be: refused or damaged files, failed or cancelled jobs, failed series; the rest has its reports
  2  the command line is wrong: a folder, a key or an option that cannot be used; nothing was sent
  3  stopped: the gateway stayed away or refused the key, or a file can't be used; run it again to go on
  130  Ctrl-C; run it again to go on
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except Failure as failure:
        print(f"batch: {failure}", file=sys.stderr)
        return 2 if isinstance(failure, WrongUsage) else 3
    except KeyboardInterrupt:
        print("batch: stopped; run the same command again, and it goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("studies", type=Path, help="the folder to send, with all that is in it: DICOM, PNG, zips")
    parser.add_argument("reports", type=Path, help=f"the folder for reports.csv, reports.ndjson, {LEFT_OUT}, {STATE}")
    add_gateway_options(parser)
    parser.add_argument("--format", choices=FORMATS, action="append", help="may be given twice (both)")
    parser.add_argument("--priority", choices=("routine", "urgent"), default="routine", help="(%(default)s)")
    parser.add_argument("--operating-point", choices=("default", "sensitive", "specific"), help="(the site's)")
    parser.add_argument("--job-files", type=_count, default=2000, metavar="N", help="in one job (%(default)s)")
    parser.add_argument("--job-mb", type=_count, default=1000, metavar="MB", help="in one job, unpacked (%(default)s)")
    parser.add_argument(
        "--together", type=_count, metavar="LEVEL", help="keep what lies below so many folders together"
    )
    parser.add_argument("--split", action="store_true", help="cut folders that are larger than a job may be")
    parser.add_argument(
        "--ahead", type=_count, default=4, metavar="N", help="jobs at the gateway at once (%(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave jobs at the gateway when their reports are here")
    parser.add_argument("--patience", type=float, default=3600, metavar="SECONDS", help="for the gateway (%(default)s)")
    return parser


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("wanted 1 or more")
    return number


def _run(options: argparse.Namespace) -> int:
    headers = authorization(options.key_file)
    if options.reports.resolve().is_relative_to(options.studies.resolve()):
        raise WrongUsage("the folder of the reports must not lie in that of the studies")
    units = units_of(options.studies, options.together)
    if hidden := hidden_below(options.studies):
        print(f"batch: {counted(len(hidden), 'hidden file')} left out, the first {hidden[0]}", file=sys.stderr)
    formats = sorted(set(options.format or FORMATS))
    with (
        closing(_open_journal(options, formats)) as journal,
        closing(Outputs(options.reports, formats, journal.sizes)) as outputs,
        httpx.Client(base_url=options.url, timeout=httpx.Timeout(_ANSWER_S, connect=5), headers=headers) as client,
        Bar(sum(unit.entries for unit in units), journal.records) as bar,
    ):
        if not units and not journal.records:
            raise WrongUsage(f"{options.studies}: there are no files to send")
        run = Run(Errands(client, Patience(options.patience, bar.say)), journal, outputs, bar, _wishes(options))
        complete(run, units)
    print("\n".join([*summary(journal.records, run.refused, run.details), *(str(path) for path in outputs.paths)]))
    return 0 if all_well(journal.records, run.refused) else 1


def complete(run: Run, units: Sequence[Unit]) -> None:
    """Go on until there is nothing left to do."""
    run.plan(units)
    while not run.done:
        if not run.step():
            run.errands.patience.sleep(_REST_S)
    run.step()


def _open_journal(options: argparse.Namespace, formats: Sequence[str]) -> Journal:
    options.reports.mkdir(parents=True, exist_ok=True)
    state = options.reports / STATE
    found = [*options.reports.glob("reports.*"), *options.reports.glob(LEFT_OUT)]
    if found and not state.exists():
        raise WrongUsage(f"{found[0]} is there, and no {STATE} beside it; choose another folder")
    journal = Journal(state)
    journal.begin({"format": list(formats), "priority": options.priority, "operating-point": options.operating_point})
    return journal


def _wishes(options: argparse.Namespace) -> Wishes:
    return Wishes(
        Bounds(options.job_files, options.job_mb * _MB, options.split),
        options.ahead,
        options.keep,
        options.priority,
        options.operating_point,
    )


if __name__ == "__main__":
    sys.exit(main())
