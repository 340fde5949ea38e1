"""A sender with short delays."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.dicom_node.peers import Peer
from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.send.sender import Sender
from services.dicom_node.settings import Settings
from tests.dicom_node.send.built import BuiltRegistry

QUICK = {
    "send_first_delay_s": 0.05,
    "send_max_delay_s": 0.2,
    "send_timeout_s": 2.0,
    "commitment_timeout_s": 0.3,
    "commitment_wait_s": 0.2,
}


@contextmanager
def sending(registry: BuiltRegistry, *peers: Peer, **settings: float) -> Iterator[Sender]:
    by_name = {peer.name: peer for peer in peers}
    deliveries = Deliveries(registry.database, registry.folder, time.monotonic)
    sender = Sender(Settings.model_validate({**QUICK, **settings}), by_name, deliveries)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait for a condition, as long as a loaded machine may need."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.02)


def all_at(registry: BuiltRegistry, step: str, destination: str = "pacs") -> Callable[[], bool]:
    return lambda: set(registry.steps(destination)) == {step}
