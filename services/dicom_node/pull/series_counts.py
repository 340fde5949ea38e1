"""Asks peers with `count` how many instances a received series has: a part of the node."""

import logging
from collections.abc import Iterator
from threading import Event, Thread
from typing import Final

from services.dicom_node.associations import Associations, quieten_pynetdicom
from services.dicom_node.inbox import Inbox
from services.dicom_node.peers import Peer, Peers, PeerUnavailable
from services.dicom_node.query.open_query import open_query, preferred_protocol
from services.dicom_node.registry.database import Database
from services.dicom_node.settings import Settings

log = logging.getLogger(__name__)
_STOP_S: Final = 3.0
Series = tuple[str, str]  # study and series UID


class SeriesCounts:
    """Notes NumberOfSeriesRelatedInstances (0020,1209) of series that are being received.

    A peer may be receiving the series, too. So a number counts once two answers in a row are equal.
    """

    name = "series counts"

    def __init__(self, settings: Settings, peers: Peers, database: Database, inbox: Inbox) -> None:
        self._peers = [peer for peer in peers.values() if peer.count]
        self._database, self._inbox = database, inbox
        self._associations = Associations(settings.ae_titles[0], settings.send_timeout_s)
        self._period_s = settings.count_period_s
        self._answers: dict[Series, int] = {}  # the latest of each series that is being received
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="series counts", daemon=True)

    def start(self) -> None:
        """Ask in the background, where a peer counts."""
        quieten_pynetdicom()
        if self._peers:
            self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def is_running(self) -> bool:
        """Whether peers are asked, if any counts."""
        return not self._peers or self._thread.is_alive()

    def ask(self) -> None:
        """Ask once for all series that are being received."""
        waiting = self._waiting()
        answers: dict[Series, int] = {}
        for peer in self._peers:
            answers |= dict(self._ask(peer, [series for series in waiting if series not in answers]))
        for (study, series), count in answers.items():
            if self._answers.get((study, series)) == count:
                self._inbox.expect(study, series, count)
        self._answers = answers

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            try:
                self.ask()
            except Exception as error:  # noqa: BLE001 - boundary: the series waits without a number
                log.error("series are not counted", extra={"fields": {"error": type(error).__name__}})  # noqa: TRY400 - no values

    def _waiting(self) -> list[Series]:
        with self._database.read() as connection:
            rows = connection.execute("SELECT study_uid, series_uid FROM series WHERE waiting ORDER BY id").fetchall()
        return [(row["study_uid"], row["series_uid"]) for row in rows]

    def _ask(self, peer: Peer, series: list[Series]) -> Iterator[tuple[Series, int]]:
        """The numbers of the series that the peer has; none where it does not answer."""
        if not series:
            return
        try:
            with open_query(peer, preferred_protocol(peer), self._associations) as query:
                for study in dict.fromkeys(study for study, _ in series):
                    for found in query.series(study):
                        if (study, found.uid) in series and found.instances is not None:
                            yield (study, found.uid), found.instances
        except PeerUnavailable as error:
            log.warning("%s", error, extra={"fields": {"peer": peer.name, "code": error.code}})
