"""`python -m services.gateway.backup`: backs up and restores jobs, API keys and settings in one file.

A backup may be made while the product runs. Its checksums show damage, not forgery, and it holds patients' images and
secrets in the clear: keep it as safe as the folder of jobs, or encrypt it.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from services.common.durable_files import fsync
from services.common.folder_lock import FolderInUse
from services.common.private_folder import UnsafeFolder, open_private, restrict_umask
from services.gateway.backup.archive import SETTINGS, ArchiveReader, ArchiveWriter, Summary
from services.gateway.backup.errors import BackupError
from services.gateway.backup.restore import restore
from services.gateway.backup.settings_files import settings_members, site_variables
from services.gateway.backup.snapshot import files_of, snapshot

_STREAM: Final = "-"
_JOBS_URL: Final = "ICH_GATEWAY_JOBS_URL"
_MEGABYTE: Final = 1e6


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; SystemExit with a sentence where it fails."""
    options = _parser().parse_args(arguments)
    restrict_umask()
    try:
        summary: Summary = options.run(options)
    except (BackupError, FolderInUse, UnsafeFolder, OSError) as error:
        raise SystemExit(f"{options.command}: {error}") from error
    counts = f"{summary.jobs} jobs, {summary.files} files, {summary.bytes / _MEGABYTE:.1f} MB"
    print(f"{options.command}: {counts}, made {summary.created} by version {summary.version}", file=sys.stderr)


def _create(options: argparse.Namespace) -> Summary:
    variables = site_variables(options.environment_of) if options.environment else {}
    _check_jobs_are_local({**os.environ, **variables})
    with (
        _new_file(options.archive) as stream,
        snapshot(options.jobs) as folder,
        ArchiveWriter(stream) as writer,
    ):
        for name, content in settings_members(variables, options.settings, options.bundle):
            if isinstance(content, Path):
                writer.add(f"{SETTINGS}/{name}", content)
            else:
                writer.add_bytes(f"{SETTINGS}/{name}", content)
        for path in files_of(folder):
            writer.add(str(path.relative_to(folder)), path)
        return writer.finish(sum(1 for _ in (folder / "jobs").glob("*/*")))


def _check_jobs_are_local(variables: Mapping[str, str]) -> None:
    """BackupError where jobs are in an object storage: the archive would hold none."""
    if variables.get(_JOBS_URL):
        raise BackupError(
            f"{_JOBS_URL} is set, so the jobs are in an object storage, not in the folder: back up its bucket by its "
            "own means, such as versions or replication, and copy the files of keys and settings"
        )


def _verify(options: argparse.Namespace) -> Summary:
    with _existing_file(options.archive) as stream:
        return ArchiveReader(stream).read()


def _restore(options: argparse.Namespace) -> Summary:
    with _existing_file(options.archive) as stream:
        return restore(stream, options.jobs, options.settings, replace=options.replace)


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is whole, readable by its owner only; or standard output."""
    if name == _STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with open(part, "xb", opener=open_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # fails where the name exists
    except FileExistsError as error:
        raise BackupError(f"{path} exists: name another file") from error
    finally:
        part.unlink(missing_ok=True)
    fsync(path.parent)


@contextmanager
def _existing_file(name: str) -> Iterator[BinaryIO]:
    """The file, or standard input."""
    if name == _STREAM:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway.backup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    create = commands.add_parser("create", help="write an archive")
    create.set_defaults(run=_create)
    _add_archive(create, "file to write; '-' writes to standard output")
    _add_jobs(create)
    create.add_argument(
        "--no-environment", dest="environment", action="store_false", help="leave out ICH_* and the files they name"
    )
    create.add_argument(
        "--environment-of",
        type=Path,
        metavar="FILE",
        help="file with the id of the running supervisor, whose ICH_* are taken in place of this process's",
    )
    create.add_argument(
        "--settings", type=Path, nargs="+", default=[], metavar="PATH", help="further files and folders to add"
    )

    create.add_argument(
        "--bundle", type=Path, metavar="DIR", help="bundle whose addenda are added, in place of that of ICH_RNN_BUNDLE"
    )

    verify = commands.add_parser("verify", help="check an archive against its checksums")
    verify.set_defaults(run=_verify)
    _add_archive(verify, "file to read; '-' reads standard input")

    back = commands.add_parser("restore", help="restore an archive; the services must not run")
    back.set_defaults(run=_restore)
    _add_archive(back, "file to read; '-' reads standard input")
    _add_jobs(back)
    back.add_argument("--settings", type=Path, metavar="DIR", help="folder for the settings; without it they are left")
    back.add_argument("--replace", action="store_true", help="delete the jobs and settings that are there")
    return parser


def _add_archive(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("archive", help=text)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=Path, required=True, metavar="DIR", help="folder of ICH_GATEWAY_JOBS_DIR")


if __name__ == "__main__":
    main()
