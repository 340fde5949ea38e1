"""The thread of one destination: a slow or dead one delays no other."""

import logging
import time
from threading import Event, Thread
from typing import Final

from services.common.tracer import Attributes
from services.common.tracing import span
from services.dicom_node.peers import PeerUnavailable
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.delivery_queue import DeliveryQueue
from services.dicom_node.send.transport import Transport

log = logging.getLogger(__name__)
_POLL_S: Final = 2.0  # another process may have changed the registry
_STOP_S: Final = 3.0


class DestinationThread:
    """Delivers what is due, one assessment at a time, and backs off while the destination cannot be reached."""

    def __init__(self, queue: DeliveryQueue, transport: Transport) -> None:
        self._queue, self._transport = queue, transport
        self._wake, self._stopping = Event(), False
        self._failures = 0
        self._thread = Thread(target=self._run, name=f"send to {queue.destination}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look at once for new deliveries."""
        self._wake.set()

    def stop(self) -> None:
        """End; what is in progress is repeated after the next start."""
        self._stopping = True
        self._wake.set()
        self._transport.stop()
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            self._transport.abort()
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        while not self._stopping:
            try:
                delay_s = self._round()
            except Exception as error:  # noqa: BLE001 - boundary: without rounds nothing is sent; the next may succeed
                log.error("deliveries failed", extra={"fields": {"error": type(error).__name__}})  # noqa: TRY400 - no values
                self._failures += 1
                delay_s = self._queue.rules.delay_s(self._failures)
            self._pause(delay_s)

    def _pause(self, seconds: float) -> None:
        """Wait; while the destination cannot be reached, new deliveries wait, too."""
        if not self._failures:
            self._wake.wait(seconds)
            self._wake.clear()
            return
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(min(0.2, seconds))

    def _round(self) -> float:
        """Deliver or confirm one batch; seconds until the next round."""
        batch: tuple[Delivery, ...] = ()
        try:
            if batch := self._queue.pending():
                attributes: Attributes = {"peer.service": self._queue.destination, "ich.objects": len(batch)}
                with span("send results", attributes=attributes, parent=self._queue.traceparent(batch[0])):
                    self._transport.deliver(batch)
            elif batch := self._queue.unconfirmed():
                self._transport.confirm(batch)
            self._failures = 0
            return 0.0 if batch else min(_POLL_S, self._idle_s())
        except PeerUnavailable as error:
            return self._back_off(error)

    def _idle_s(self) -> float:
        idle_s = self._queue.idle_s()
        return _POLL_S if idle_s is None else idle_s

    def _back_off(self, error: PeerUnavailable) -> float:
        self._failures += 1
        delay_s = self._queue.rules.delay_s(self._failures)
        fields = {"destination": self._queue.destination, "code": error.code, "delay_s": round(delay_s, 1)}
        log.warning("%s", error, extra={"fields": fields})
        self._queue.note_unavailable(error.code)
        return delay_s
