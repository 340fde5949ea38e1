"""The second sender: sends a small prediction again and again, and asks `/livez`, while an attack runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.attack.attack import NEIGHBOUR_ADDRESS, NEIGHBOUR_KEY, client
from tests.scans import ct_slice, head

_SLICE: Final = ct_slice(0, head(256))
_PREDICTION_PAUSE_S: Final = 0.1
_LIVEZ_PAUSE_S: Final = 0.05
_MIN_PREDICTIONS: Final = 3
_PERCENTILE: Final = 0.95
MIN_SHARE: Final = 0.95
MAX_LIVEZ_S: Final = 0.5


@dataclass
class Neighbour:
    """Its answers: the status and the seconds of each; status 0 where no answer came."""

    predictions: list[tuple[int, float]] = field(default_factory=list)
    livez: list[tuple[int, float]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of predictions answered with 200."""
        return _share(self.predictions)

    @property
    def prediction_s(self) -> float:
        """The 95th percentile of a prediction's seconds."""
        return _percentile(self.predictions)

    @property
    def livez_s(self) -> float:
        """The 95th percentile of the seconds of `/livez`."""
        return _percentile(self.livez)

    @property
    def served(self) -> bool:
        """Whether it was served well enough."""
        return self.share >= MIN_SHARE and _share(self.livez) >= MIN_SHARE and self.livez_s < MAX_LIVEZ_S


@contextmanager
def watching(url: str) -> Iterator[Neighbour]:
    """Measure until the context ends, and at least a few predictions."""
    found, stop = Neighbour(), threading.Event()
    threads = [
        threading.Thread(target=_repeat, args=(_predict, url, found.predictions, _PREDICTION_PAUSE_S, stop)),
        threading.Thread(target=_repeat, args=(_ask_livez, url, found.livez, _LIVEZ_PAUSE_S, stop)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
        while len(found.predictions) < _MIN_PREDICTIONS:
            time.sleep(_LIVEZ_PAUSE_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _repeat(
    ask: Callable[[httpx.Client], httpx.Response],
    url: str,
    answers: list[tuple[int, float]],
    pause_s: float,
    stop: threading.Event,
) -> None:
    """Ask over a new connection each time, as another user would."""
    while not stop.is_set():
        begin = time.monotonic()
        try:
            with client(url, NEIGHBOUR_KEY, NEIGHBOUR_ADDRESS) as one:
                status = ask(one).status_code
        except httpx.TransportError:
            status = 0
        answers.append((status, time.monotonic() - begin))
        stop.wait(pause_s)


def _predict(one: httpx.Client) -> httpx.Response:
    return one.post("/v1/predictions", files={FORM_FIELD: ("slice.dcm", _SLICE)})


def _ask_livez(one: httpx.Client) -> httpx.Response:
    return one.get("/livez")


def _share(answers: list[tuple[int, float]]) -> float:
    return sum(status == httpx.codes.OK for status, _ in answers) / len(answers) if answers else 0.0


def _percentile(answers: list[tuple[int, float]]) -> float:
    seconds = sorted(seconds for _, seconds in answers)
    return seconds[int(_PERCENTILE * (len(seconds) - 1))] if seconds else float("inf")
