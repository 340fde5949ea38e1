"""Faults of the surroundings: a wrong clock, a second gateway, a slow receiver of webhooks, another bundle."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.drill.bundle import swap_bundle
from tests.drill.faults import Fault, Injection, slowly
from tests.drill.sender import Sender
from tests.drill.surroundings import Surroundings
from tests.running import ROOT, Service, free_ports

_DAY_S: Final = 86_400.0
_SWEEP_S: Final = 3.0  # from the gateway's start to the end of its first sweep of few jobs
_REFUSAL_S: Final = 30.0
_WEBHOOK_S: Final = 30.0
_SLOW_JOBS: Final = 12


def move_clock(days: float) -> Injection:
    """Move the clock, and kill the gateway: its next start sweeps at once. An ended job must stay."""

    def inject(service: Service, sender: Sender, around: Surroundings) -> None:
        ended = sender.send(1)
        sender.wait_until(ended)
        around.set_clock(days * _DAY_S)
        sender.wait_until(sender.send(1))  # it ends by the wrong clock
        os.kill(service.process("gateway"), signal.SIGKILL)
        service.wait_until_ready(60)
        time.sleep(_SWEEP_S)
        around.set_clock(0.0)

    return inject


def start_second_gateway(service: Service, sender: Sender, _: Surroundings) -> None:
    """Start it while an upload is half received; the upload must be accepted at its first attempt."""
    half = threading.Event()
    with ThreadPoolExecutor(1) as uploads:
        upload = uploads.submit(sender.send, 1, 6, partial(slowly, half=half))
        half.wait()
        first = service.process("gateway")
        ended = _second_gateway(first)
        upload.result()
    assert ended.returncode != 0, "the second gateway started"
    assert f"is in use by process {first} on" in ended.stderr, ended.stderr[-500:]
    assert sender.refusals == [], sender.refusals


def _second_gateway(first: int) -> subprocess.CompletedProcess[str]:
    """A gateway with the settings of the first, on another port."""
    words = Path(f"/proc/{first}/environ").read_text().rstrip("\0").split("\0")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "services.gateway", "--port", str(port)]
    environment = dict(word.split("=", 1) for word in words)
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=_REFUSAL_S
    )


def slow_webhooks(_: Service, sender: Sender, around: Surroundings) -> None:
    """Let jobs wait for a receiver that never finishes its answer; another receiver must get its message meanwhile."""
    before = len(around.receiver.received)
    for _number in range(_SLOW_JOBS):
        sender.send(1, 1, webhook=f"{around.slow}/")
    quick = sender.send(1, 1, webhook=f"{around.receiver.url}/")
    sender.wait_until(quick)
    deadline = time.monotonic() + _WEBHOOK_S
    while len(around.receiver.received) == before:
        assert time.monotonic() < deadline, "the other receiver got no message"
        time.sleep(0.1)


def serve_another_bundle(service: Service, sender: Sender, _: Surroundings) -> None:
    """Swap the served bundle in the middle of a job; each report must name the bundle that made it."""
    (job,) = sender.jobs
    before = sender.document(job)["models"][0]["name"]
    swap_bundle()
    for name in ("cnn", "rnn"):
        os.kill(service.process(name), signal.SIGKILL)
    sender.wait_until(job)
    document = sender.document(job)
    named = {model["name"] for model in document["models"]}
    assert named == {before, "other"}, named
    assert "several_models" in {warning["code"] for warning in document["warnings"]}
    reports = [report["model"]["name"] for report in sender.reports(job)]
    assert {name: reports.count(name) for name in named} == {one["name"]: one["reports"] for one in document["models"]}


TRUST_FAULTS: Final = (
    Fault("clock 30 days ahead, gateway killed", move_clock(30)),
    Fault("clock 30 days back, gateway killed", move_clock(-30)),
    Fault("a second gateway during an upload", start_second_gateway),
    Fault("a receiver of webhooks never answers", slow_webhooks),
    Fault("another bundle in the middle of a job", serve_another_bundle),
)
