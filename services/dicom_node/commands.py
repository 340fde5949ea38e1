"""The commands `status`, `resend` and `forget`: they work on the registry of a node that may run."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

from services.dicom_node.peers import InvalidPeers, read_peers
from services.dicom_node.registry.commands import (
    UnknownSeries,
    find_series,
    forget,
    resend,
    resend_dead,
    used_destinations,
)
from services.dicom_node.registry.data_folder import DataFolder
from services.dicom_node.registry.database import Database, NewerDatabase
from services.dicom_node.settings import Settings
from services.dicom_node.status.overview import Overview
from services.dicom_node.status.schemas import RegistryStatus

Command = Callable[[argparse.Namespace, Settings, Database], str]


class UsageError(Exception):
    """The command cannot work as it was called. The message names the remedy."""


def run_command(options: argparse.Namespace) -> int:
    """Run a command, print its text; its exit status."""
    settings = Settings.read()
    command: Command = options.command
    try:
        with closing(_open(settings)) as database:
            print(command(options, settings, database))
    except (UsageError, UnknownSeries, InvalidPeers, NewerDatabase) as error:
        print(f"dicom_node: {error}", file=sys.stderr)
        return 2
    return 0


def _open(settings: Settings) -> Database:
    path = DataFolder(settings.data_dir).database
    if not path.is_file():
        raise UsageError(f"{settings.data_dir} has no registry: name the node's folder in ICH_NODE_DATA_DIR")
    return Database(path)


def show_status(options: argparse.Namespace, settings: Settings, database: Database) -> str:
    """The state of the registry, as text or as JSON."""
    names = [name for name, peer in read_peers(settings.peers_file).items() if peer.send]
    status = Overview(database, names).read()
    return status.model_dump_json(indent=1) if options.json else "\n".join(_lines(status))


def resend_series(options: argparse.Namespace, settings: Settings, database: Database) -> str:
    """Send results again."""
    if (options.series is None) != options.dead:
        raise UsageError("give a series, or --dead for all dead letters")
    return f"{_resend(options, settings, database)} deliveries and assessments are tried again"


def _resend(options: argparse.Namespace, settings: Settings, database: Database) -> int:
    _check_destination(options.to, settings, database)
    if options.dead:
        return resend_dead(database, options.to)
    from services.dicom_node.send.sender import destinations  # noqa: PLC0415 - pynetdicom, which others don't need

    configured = destinations(read_peers(settings.peers_file))
    found = find_series(database, options.series)
    return sum(resend(database, series, configured, options.to) for series in found)


def _check_destination(name: str | None, settings: Settings, database: Database) -> None:
    """Refuse a name that is neither configured nor known from earlier deliveries."""
    known = {one for one, peer in read_peers(settings.peers_file).items() if peer.send} | used_destinations(database)
    if name is not None and name not in known:
        listed = ", ".join(sorted(known)) or "none: name the peers file of the node in ICH_NODE_PEERS_FILE"
        raise UsageError(f"--to {name}: there is no such destination; known are {listed}")


def forget_series(options: argparse.Namespace, settings: Settings, database: Database) -> str:
    """Delete a series, or all series of a study, here."""
    found = find_series(database, options.series)
    count = sum(forget(database, settings.data_dir, series) for series in found)
    subject = "1 series is" if len(found) == 1 else f"{len(found)} series are"
    return f"{subject} deleted here, with {count} instances; objects at destinations stay"


def _lines(status: RegistryStatus) -> Iterator[str]:
    yield "series by step: " + (", ".join(f"{n} {step}" for step, n in status.series.items() if n) or "none")
    yield f"oldest unsent result: {status.oldest_unsent_s:.0f} s" if status.oldest_unsent_s else "no unsent result"
    for one in status.destinations:
        counts = f"{one.pending} pending, {one.sent} sent, {one.delivered} delivered, {one.dead} dead"
        yield f"destination {one.name}: {counts}{f', last failure {one.code}' if one.code else ''}"
    if not status.destinations:
        yield "no destination is set here: name the peers file of the node in ICH_NODE_PEERS_FILE"
    for series in status.oldest:
        failures = f", {series.attempts} failed attempts ({series.code})" if series.attempts else ""
        yield f"series {series.id} ({series.series}): {series.step}, last instance {series.age_s:.0f} s ago{failures}"
    for letter in status.dead_letters:
        what = f"{letter.objects} objects for {letter.destination}" if letter.destination else "its assessment"
        yield f"series {letter.id} ({letter.series}): dead letter, {what} ({letter.code}); {letter.resend}"
    for passed in status.passed_over:
        yield f"series {passed.id} ({passed.series}): passed over, {'; '.join(passed.reasons)}"
    for kind, count in status.failed_kinds.items():
        yield f"{count} objects could not be built: {kind}"
