"""Works on the pulls of all peers: a part of the node, with a thread for each peer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import uniform
from threading import Event, Thread
from typing import Final

from services.common.retry_policy import RetryPolicy
from services.dicom_node.associations import Associations, quieten_pynetdicom
from services.dicom_node.inbox import Inbox
from services.dicom_node.peers import Peer, Peers, PeerUnavailable
from services.dicom_node.pull.choice import judge_series
from services.dicom_node.pull.retrieval import Failure, MoveRetrieval, Retrieval, WadoRetrieval
from services.dicom_node.query.open_query import open_query, preferred_protocol
from services.dicom_node.query.peer_query import FoundSeries
from services.dicom_node.registry.pulls import Pull, Pulls
from services.dicom_node.selection.verdict import SelectionRules, Verdict
from services.dicom_node.settings import Settings

log = logging.getLogger(__name__)
_POLL_S: Final = 0.5  # a retry may be due
_STOP_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class PullContext:
    """What each pull needs."""

    settings: Settings
    pulls: Pulls
    inbox: Inbox
    rules: SelectionRules
    associations: Associations

    def retrieval(self, peer: Peer) -> Retrieval:
        """By WADO-RS where the peer has a DICOMweb address, else by C-MOVE."""
        if peer.dicom_web_url:
            return WadoRetrieval(peer, self.settings, self.inbox)
        return MoveRetrieval(peer, self.associations, self.settings.pull_patience_s)


class Puller:
    """Queries, judges and retrieves. A pull that ends with this process resumes at the next start."""

    name = "puller"

    def __init__(self, settings: Settings, peers: Peers, pulls: Pulls, inbox: Inbox, rules: SelectionRules) -> None:
        associations = Associations(settings.ae_titles[0], settings.send_timeout_s)
        context = PullContext(settings, pulls, inbox, rules, associations)
        self.pulls = context.pulls
        self._threads = {name: _PeerThread(peer, context) for name, peer in peers.items() if peer.can_be_pulled_from}

    @property
    def peers(self) -> Sequence[str]:
        """Names of peers that series can be pulled from."""
        return tuple(self._threads)

    def start(self) -> None:
        """Work in the background."""
        quieten_pynetdicom()
        for thread in self._threads.values():
            thread.start()

    def stop(self) -> None:
        """Stop; unfinished pulls resume at the next start."""
        for thread in self._threads.values():
            thread.stop()

    def is_running(self) -> bool:
        """Whether each peer is served."""
        return all(thread.is_running() for thread in self._threads.values())

    def wake(self, peer: str) -> None:
        """Look at once for new pulls."""
        self._threads[peer].wake()


class _PeerThread:
    """The pulls of one peer, one after another."""

    def __init__(self, peer: Peer, context: PullContext) -> None:
        self._peer, self._context = peer, context
        self._wake, self._stopping = Event(), Event()
        settings = context.settings
        self._retry = RetryPolicy(settings.send_first_delay_s, settings.pull_patience_s, settings.send_max_delay_s)
        self._thread = Thread(target=self._run, name=f"pull from {peer.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                worked = self._round()
            except Exception as error:  # noqa: BLE001 - boundary: the next round may succeed
                log.error("pulls failed", extra={"fields": {"error": type(error).__name__}})  # noqa: TRY400 - no values
                worked = False
            if not worked:
                self._wake.wait(_POLL_S)
                self._wake.clear()

    def _round(self) -> bool:
        pulls = self._context.pulls
        pull = pulls.due(self._peer.name, pulls.now_s())
        if pull is None:
            return False
        delay_s = self._retry.delay_s(pull.attempts + 1) * uniform(0.75, 1.25)  # noqa: S311 - no secret
        pulls.begin(pull, pulls.now_s() + delay_s)
        try:
            failure = self._work(pull)
        except PeerUnavailable as error:
            log.warning("%s", error, extra={"fields": {"peer": self._peer.name, "code": error.code}})
            failure = Failure(error.code)
        self._end(pull, failure)
        return True

    def _end(self, pull: Pull, failure: Failure | None) -> None:
        if failure is None:
            self._context.pulls.end(pull, "finished")
        elif failure.final or self._context.pulls.now_s() - pull.asked_s > self._retry.give_up_s:
            self._context.pulls.end(pull, "failed", failure.code)
        else:
            self._context.pulls.end(pull, "running", failure.code)

    def _work(self, pull: Pull) -> Failure | None:
        """Retrieve what is missing; the failure that counts, or None."""
        judged = self._judge(pull)
        if not judged:
            return Failure("series_not_found" if pull.series_uid else "study_not_found", final=True)
        for found, verdict in judged:
            if verdict.ours is False:
                self._note(pull, found, "passed_over", verdict)
        return self._retrieve_all(pull, [one for one in judged if one[1].ours is not False])

    def _judge(self, pull: Pull) -> list[tuple[FoundSeries, Verdict]]:
        with open_query(self._peer, preferred_protocol(self._peer), self._context.associations) as query:
            series = query.series(pull.study_uid)
            found = [query.with_instance(one) for one in series if pull.series_uid in ("", one.uid)]
        chosen = self._context.pulls.chosen(pull.study_uid)
        return judge_series(self._context.rules, found, chosen if not pull.series_uid else ())

    def _retrieve_all(self, pull: Pull, judged: Sequence[tuple[FoundSeries, Verdict]]) -> Failure | None:
        """Retrieve each series, unless an earlier attempt did. A failure of one does not stop the others."""
        done = {
            (one.series_uid, one.instances) for one in self._context.pulls.series(pull) if one.status == "retrieved"
        }
        failures: list[Failure] = []
        for found, verdict in judged:
            if self._stopping.is_set():
                return Failure("stopped")
            if (found.uid, found.instances) not in done and (failure := self._retrieve(pull, found, verdict)):
                failures.append(failure)
        return min(failures, key=lambda failure: failure.final, default=None)

    def _retrieve(self, pull: Pull, found: FoundSeries, verdict: Verdict) -> Failure | None:
        self._note(pull, found, "found", verdict)
        if found.instances is not None:
            self._context.inbox.expect(pull.study_uid, found.uid, found.instances)
        try:
            failure = self._context.retrieval(self._peer).retrieve(pull.study_uid, found.uid)
        except PeerUnavailable as error:
            log.warning("%s", error, extra={"fields": {"peer": self._peer.name, "code": error.code}})
            failure = Failure(error.code)
        failure = failure or self._missing(pull, found)
        self._note(pull, found, "failed" if failure else "retrieved", verdict, failure.code if failure else None)
        return failure

    def _missing(self, pull: Pull, found: FoundSeries) -> Failure | None:
        received = self._context.pulls.received(pull.study_uid, found.uid)
        return Failure("instances_missing") if received < (found.instances or 1) else None

    def _note(self, pull: Pull, found: FoundSeries, status: str, verdict: Verdict, code: str | None = None) -> None:
        self._context.pulls.note_series(
            pull, found.uid, status, instances=found.instances, reasons=verdict.reasons, code=code
        )
