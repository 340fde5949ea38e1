"""`make backup-compose` and `make restore-compose` on the running containers."""

import os
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.drill.sender import parts, series_uids
from tests.e2e.containers import Containers
from tests.running import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]
COUNT = 2


def _make(target: str, folder: Path, *variables: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    files = [f"COMPOSE={os.environ['COMPOSE']}", "COMPOSE_FILES=", f"BACKUP={folder / 'backup.tar'}"]
    command = ["make", target, *files, f"SETTINGS={folder / 'settings'}", *variables]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def _wait_until_ended(client: httpx.Client, location: str) -> None:
    deadline = time.monotonic() + 120
    while not client.get(location).json()["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_reports_of_the_volume_come_back_byte_for_byte(containers: Containers, tmp_path: Path) -> None:
    with httpx.Client(base_url=containers.url, timeout=60) as client:
        accepted = client.post("/v1/jobs", files=list(parts(series_uids(COUNT), 6)))
        location = accepted.headers["location"]
        _wait_until_ended(client, location)
        reports = client.get(f"{location}/reports").content
        _make("backup-compose", tmp_path)
        assert client.delete(location).status_code == 204
        _make("restore-compose", tmp_path, "REPLACE=1")
        containers.wait_until_ready(120)
        assert client.get(f"{location}/reports").content == reports
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "settings/files/site/settings.env").read_text() == (
        ROOT / "deploy/site/settings.env"
    ).read_text()
