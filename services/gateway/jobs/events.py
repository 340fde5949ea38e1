"""Server-sent events. All listeners of a topic, such as a job, share one poll of its state."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from anyio import CapacityLimiter, to_thread
from fastapi.sse import ServerSentEvent

from services.common.clients import Client
from services.common.identity.authentication import StillValid
from services.common.problems import NotFound, Overloaded, Problem
from services.gateway.jobs.report_formats import on_one_line
from services.gateway.jobs.schemas import JobDocument
from services.gateway.settings import Settings
from services.gateway.shares.fair_shares import FairShares

log = logging.getLogger(__name__)
_POLL_S: Final = 0.5
_REMOTE_POLL_S: Final = 2.0  # of an object storage, which has a price for each request
_CHECK_S: Final = 30.0
_TOPICS_PER_S: Final = 50  # that are polled; with more topics each one is polled less often
_READERS: Final = 2  # out of 40 threads of the process
_LISTENER_WEIGHT: Final = 2
_RETRY_AFTER_S: Final = 10


@dataclass(frozen=True, slots=True)
class Update:
    """The state of a topic as an event; the stream ends after the last one."""

    event: str
    data: str
    last: bool = False


Read = Callable[[], Update]


def job_update(document: JobDocument) -> Update:
    """A job's document as `progress`, or as `end`."""
    data = on_one_line(document.model_dump_json().encode()).decode()
    return Update("end" if document.ended else "progress", data, last=bool(document.ended))


class TooManyListeners(Problem):
    status = 429
    code = "too_many_listeners"
    title = "This client has too many streams of events open"
    retry_after_s = _RETRY_AFTER_S


class _Feed:
    """The latest event of one topic, for all its listeners."""

    def __init__(self) -> None:
        self.listeners = 0
        self.event: ServerSentEvent | None = None
        self.ended = False
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._update: Update | None = None

    def publish(self, update: Update) -> None:
        """Give listeners the state where it has changed."""
        if update == self._update:
            return
        self._update, self.ended = update, update.last
        self._notify(ServerSentEvent(event=update.event, raw_data=update.data))

    def end(self, event: ServerSentEvent | None = None) -> None:
        """End the streams, after a last event if there is one."""
        self.ended = True
        self._notify(event)

    def _notify(self, event: ServerSentEvent | None) -> None:
        self.event = event
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class EventStreams:
    """The streams of events of this process.

    Parameters
    ----------
    draining
        whether the gateway is about to stop: streams end, and clients reconnect to the next gateway
    poll_s
        seconds between two reads of a topic, while few topics have listeners; None for the storage's usual ones
    check_s
        seconds between two checks of a listener's credential
    """

    def __init__(
        self,
        settings: Settings,
        draining: Callable[[], bool],
        *,
        poll_s: float | None = None,
        check_s: float = _CHECK_S,
    ) -> None:
        self.listeners = FairShares(settings.max_listeners, _LISTENER_WEIGHT, settings.max_listeners_per_client)
        self._draining = draining
        self._poll_s = (_REMOTE_POLL_S if settings.jobs_url else _POLL_S) if poll_s is None else poll_s
        self._check_s = check_s
        self._feeds: dict[str, _Feed] = {}
        self._readers = CapacityLimiter(_READERS)

    @contextmanager
    def listening(self, client: Client) -> Iterator[None]:
        """Count a listener until the context ends.

        Raises
        ------
        TooManyListeners
            the client's share has no room for one more
        Overloaded
            no client has
        """
        if not self.listeners.has_room(1):
            detail = f"{self.listeners.used} streams of events are open; read the document or the list instead"
            raise Overloaded(detail, retry_after_s=_RETRY_AFTER_S)
        if not self.listeners.fits(client, 1):
            detail = f"{self.listeners.held(client)} are open; close one, or read the document or the list instead"
            raise TooManyListeners(detail)
        self.listeners.add(client, 1)
        try:
            yield
        finally:
            self.listeners.add(client, -1)

    async def watch(self, topic: str, read: Read, still_valid: StillValid) -> AsyncIterator[ServerSentEvent]:
        """An event for the present state and for each change of it, to the last one, or `gone` after NotFound.

        A client that reconnects gets the present state, so events have no ids. The stream ends with its credential:
        an expired token or a revoked key is refused when the client reconnects.

        read : reads the state of the topic; NotFound where it is gone
        still_valid : whether the listener's credential is
        """
        feed, last, checked_at = self._join(topic, read), None, time.monotonic()
        try:
            while True:
                if time.monotonic() - checked_at >= self._check_s:
                    if not await still_valid():
                        return
                    checked_at = time.monotonic()
                if feed.event is not None and feed.event is not last:
                    last = feed.event
                    yield last  # the feed may have changed when the client has read the event
                elif feed.ended:
                    return
                else:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(feed.changed.wait(), self._check_s)
        finally:
            self._leave(topic, feed)

    def _join(self, topic: str, read: Read) -> _Feed:
        feed = self._feeds.get(topic)
        if feed is None or feed.ended:
            feed = self._feeds[topic] = _Feed()
            feed.task = asyncio.create_task(self._poll(feed, read))
        feed.listeners += 1
        return feed

    def _leave(self, topic: str, feed: _Feed) -> None:
        feed.listeners -= 1
        if not feed.listeners:
            if feed.task:
                feed.task.cancel()
            if self._feeds.get(topic) is feed:
                del self._feeds[topic]

    async def _poll(self, feed: _Feed, read: Read) -> None:
        try:
            while not (self._draining() or feed.ended):
                feed.publish(await to_thread.run_sync(read, limiter=self._readers))
                await self._pause()
        except NotFound as gone:
            feed.end(ServerSentEvent(event="gone", raw_data=gone.code))
        except Exception:
            log.exception("a state could not be read for its events; clients reconnect")
        finally:
            if not feed.ended:
                feed.end(feed.event)

    async def _pause(self) -> None:
        """Pause until the next read, or until the gateway is about to stop."""
        left = max(self._poll_s, len(self._feeds) / _TOPICS_PER_S)
        while left > 0 and not self._draining():
            pause = min(left, _POLL_S)
            await asyncio.sleep(pause)
            left -= pause
        await asyncio.sleep(0)
