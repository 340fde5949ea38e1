"""Kill drill: node, gateway, Redis and Orthanc at every step of a series; each series gets one current result set."""

import os
import signal
from pathlib import Path

import pytest

from tests.pacs.orthanc import wait_for
from tests.pacs.series import Series, new_series
from tests.pacs.site import Site

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(400)]
STEPS = ("received", "complete", "submitted", "reported", "built", "sent")
LATER = {step: (*STEPS[STEPS.index(step) :], "committed") for step in STEPS}
RETRIES = 3
VICTIMS = ("node", "gateway", "redis", "orthanc")


def _kill(site: Site, victim: str) -> None:
    """Kill a process, and wait until another one is in its place."""
    if victim == "orthanc":
        site.orthanc.kill()
        site.orthanc.start()
        return
    killed = _process(site, victim)
    os.kill(killed, signal.SIGKILL)
    wait_for(f"another {victim}", lambda: _process(site, victim) not in (0, killed), 60, 0.02)


def _process(site: Site, victim: str) -> int:
    try:
        return site.product.redis() if victim == "redis" else site.product.process(victim)
    except LookupError:
        return 0


def _at(site: Site, series: Series, step: str) -> str:
    """The step of a series once it has reached `step`, or the first later one that was seen."""
    if step == "received":
        return "received" if site.received(series) else ""
    return next((found for found in site.steps(series) if found in LATER[step]), "")


def _drill(site: Site, series: Series, victim: str, step: str) -> None:
    """Send a series, again until the node takes it, and kill when it has reached the step."""
    wait_for("the node takes a series", lambda: site.sends(series), 60)
    found = wait_for(f"a series that is {step}", lambda: _at(site, series, step), 60, 0.002)
    _kill(site, victim)
    print(f"{victim} killed: series wanted at {step}, was {found}")


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_at_every_step_loses_and_doubles_nothing(site: Site, tmp_path: Path, victim: str) -> None:
    """The series of the steps before still work while the next is sent: a kill meets several at once."""
    sent = {step: new_series(tmp_path / step) for step in STEPS}
    for step, series in sent.items():
        _drill(site, series, victim, step)
    for series in sent.values():
        site.wait_for_results(series, 120)
        site.wait_for_step(series, ("committed",), 60)
        assert site.steps(series) == ["committed"]


def test_a_destination_that_stays_down_past_three_retries_loses_nothing(site: Site, tmp_path: Path) -> None:
    series = new_series(tmp_path / "series")
    before = _attempts(site)
    site.orthanc.kill()
    site.send(series)
    wait_for("an attempt and three retries", lambda: _attempts(site) - before > RETRIES, 120)
    assert site.steps(series) == ["built"]
    site.orthanc.start()
    site.wait_for_results(series, 60)
    site.wait_for_step(series, ("committed",), 60)
    assert site.query("SELECT count(*) FROM deliveries WHERE step = 'dead'") == [(0,)]


def _attempts(site: Site) -> int:
    """How often the node's log says that Orthanc does not answer."""
    return sum('"unreachable"' in line for line in site.product.log.read_text().splitlines())
