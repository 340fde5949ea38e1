"""Two replicas of cnn behind balancers of others: slices spread, and one that ends loses nothing."""

import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.bench.plan import study
from tests.bench.replicated_product import ReplicatedProduct, replicated_product
from tests.drill.sender import ENDED, parts, series_uids
from tests.e2e.balancers import balancing, rules_possible

pytestmark = pytest.mark.replicas
_REQUESTS: Final = 40
_PARALLEL_REQUESTS: Final = 24
_SLICES: Final = 4
_JOB_SERIES: Final = 8
_WAIT_S: Final = 240
_IPTABLES = pytest.mark.skipif(not rules_possible(), reason="this user may not set rules of addresses")
_KINDS: Final = (
    "nginx, connections",
    "haproxy, connections",
    "caddy, requests",
    pytest.param("iptables", marks=_IPTABLES),
)


@pytest.fixture(scope="module")
def product() -> Iterator[ReplicatedProduct]:
    """The product with two replicas at ports of their own; each test puts a balancer in front of them."""
    with replicated_product(cnn=2, workers=1, own_ports=True) as found:
        yield found


@pytest.fixture(params=_KINDS)
def balanced(product: ReplicatedProduct, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReplicatedProduct]:
    """The product behind one of the balancers."""
    with balancing(request.param, product.ports["cnn"], product.cnn_ports, tmp_path):
        product.wait_until_ready()
        yield product


def _metric(port: int, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _predict(product: ReplicatedProduct, count: int, clients: int) -> list[int]:
    """Statuses of synchronous requests."""
    files = [("files", item) for item in study(_SLICES).items()]

    def predict(_: int) -> int:
        return httpx.post(f"{product.url}/v1/predictions", files=files, timeout=_WAIT_S).status_code

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(predict, range(count)))


def _send_job(product: ReplicatedProduct) -> str:
    files = list(parts(series_uids(_JOB_SERIES), _SLICES))
    answer = httpx.post(f"{product.url}/v1/jobs", files=files, timeout=_WAIT_S).raise_for_status()
    return f"{product.url}{answer.headers['location']}"


def _counts(address: str) -> dict[str, int]:
    deadline = time.monotonic() + _WAIT_S
    while (document := httpx.get(address, timeout=60).json())["status"] not in ENDED:
        assert time.monotonic() < deadline, document
        time.sleep(0.2)
    counts: dict[str, int] = document["counts"]
    return counts


def test_slices_spread_and_a_replica_that_ends_loses_nothing(
    balanced: ReplicatedProduct, request: pytest.FixtureRequest
) -> None:
    kind, ports = request.node.callspec.params["balanced"], balanced.cnn_ports
    before = [_metric(port, "ich_slices_total") for port in ports]
    assert _predict(balanced, _REQUESTS, clients=1) == [200] * _REQUESTS
    done = [_metric(port, "ich_slices_total") - earlier for port, earlier in zip(ports, before, strict=True)]
    assert sum(done) == _REQUESTS * _SLICES
    low = 0.1 if kind == "iptables" else 0.4  # its choices are random
    assert min(done) >= low * sum(done)
    for number in (signal.SIGKILL, signal.SIGTERM):
        retries = _end_a_replica(balanced, number)
        print(f"{kind}: slices {done}; {number.name}: {retries}")


def _end_a_replica(product: ReplicatedProduct, number: signal.Signals) -> dict[str, float]:
    """End the first replica while it has slices in hand, and start it again; the retries of all calls."""
    before = _retries(product)
    with ThreadPoolExecutor(2) as pool:
        calls = pool.submit(_predict, product, _PARALLEL_REQUESTS, 8)
        job = _send_job(product)
        deadline = time.monotonic() + _WAIT_S
        while not _metric(product.cnn_ports[0], "ich_cnn_held_slices"):
            assert time.monotonic() < deadline, "the replica gets no slices"
        product.processes["cnn 0"].send_signal(number)
        assert calls.result() == [200] * _PARALLEL_REQUESTS
        assert _counts(job) == {"assessed": _JOB_SERIES, "not_assessed": 0, "failed": 0}
    product.processes["cnn 0"].wait(_WAIT_S)
    product.start_cnn(0)
    _wait_for_slices(product)
    return {name: value - before[name] for name, value in _retries(product).items() if value != before[name]}


def _wait_for_slices(product: ReplicatedProduct) -> None:
    """Send requests until the replica that has started again gets some of them."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        assert time.monotonic() < deadline, "a replica that is back gets no slices"
        assert _predict(product, 2, clients=1) == [200, 200]
        try:
            if _metric(product.cnn_ports[0], "ich_slices_total"):
                return
        except httpx.TransportError:
            time.sleep(0.2)


def _retries(product: ReplicatedProduct) -> dict[str, float]:
    return {
        f"{kind} {cause}": _metric(
            product.ports["gateway"], f'ich_{kind}stage_retries_total{{cause="{cause}",stage="cnn"}}'
        )
        for kind in ("", "worker_")
        for cause in ("refused", "broken", "busy")
    }
