"""Server-sent events of a job's progress."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from anyio import to_thread
from fastapi.sse import ServerSentEvent

from services.common.problems import NotFound
from services.gateway.jobs.report_formats import on_one_line
from services.gateway.jobs.schemas import JobDocument

_POLL_S: Final = 0.5


async def job_events(
    read: Callable[[], JobDocument], draining: Callable[[], bool], *, poll_s: float = _POLL_S
) -> AsyncIterator[ServerSentEvent]:
    """A `progress` event for each change of the job's document, then `end`, or `gone` where the job was deleted.

    A client that reconnects gets the document as it stands, so events have no ids.

    Parameters
    ----------
    read
        reads the job's document; NotFound where the job is gone
    draining
        whether the gateway is about to stop: the stream ends, and the client reconnects to the next gateway
    poll_s
        seconds between two reads
    """
    last = None
    while not draining():
        try:
            document = await to_thread.run_sync(read)
        except NotFound as gone:
            yield ServerSentEvent(event="gone", raw_data=gone.code)
            return
        if document != last:
            last = document
            data = on_one_line(document.model_dump_json().encode()).decode()
            yield ServerSentEvent(event="end" if document.ended else "progress", raw_data=data)
        if document.ended:
            return
        await asyncio.sleep(poll_s)
