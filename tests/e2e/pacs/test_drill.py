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
VICTIMS = ("node", "gateway", "redis", "orthanc")


def _kill(site: Site, victim: str) -> None:
    if victim == "orthanc":
        site.orthanc.kill()
        site.orthanc.start()
        return
    process = site.product.redis() if victim == "redis" else site.product.process(victim)
    os.kill(process, signal.SIGKILL)


def _at(site: Site, series: Series, step: str) -> str:
    """The step of a series once it has reached `step`, or the first later one that was seen."""
    if step == "received":
        return "received" if site.received(series) else ""
    return next((found for found in site.steps(series) if found in LATER[step]), "")


def _drill(site: Site, series: Series, victim: str, step: str) -> None:
    """Send a series, and kill when it has reached the step."""
    wait_for("the node listens", site.listens, 60)
    site.send(series)
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
