"""`python -m tests.drill.backup`: backs up a running product, restores into an empty place, and compares.

The backup is taken by `make backup` while a second job is in work. Then the product is killed and its folders are
deleted. `make restore` restores for other ports, and the product starts with the restored settings.

Exits with 1 where a check fails. The logs are in .run/drill-backup-*.log.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from tests.drill.sender import ENDED, parts, series_uids
from tests.running import NAMES, ROOT, Service, children, jobs_dir, running_service, service_ports

_KEY: Final = "drill-0123456789abcdef"
_SERIES: Final = (3, 24)  # of the finished job, and of the job in work
_LIMIT_S: Final = 120.0
_READ_S: Final = 0.2
_KILL_S: Final = 10.0
_FORMATS: Final = ("application/json", "application/x-ndjson", "text/csv")


@dataclass
class Checks:
    """The rows of the table."""

    failed: list[str] = field(default_factory=list)

    def check(self, name: str, *, held: bool, seen: object = "") -> None:
        """Print a row."""
        print(f"{name:78}{'yes' if held else f'NO: {seen}'}", flush=True)
        if not held:
            self.failed.append(name)


@dataclass(frozen=True)
class Before:
    """What the first product had answered at the time of the backup."""

    finished: str
    in_work: str
    answers: Mapping[str, bytes]
    request: httpx.Request
    partial: Mapping[str, Any]


def main() -> int:
    """Run the drill: 0 where all checks hold."""
    checks = Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "senders").write_text(f"drill {_KEY}\n")
        before = _back_up(folder, checks)
        (folder / "senders").unlink()
        ports = service_ports()
        _make("restore", folder, ports["gateway"])
        with _product("after", ports, _restored_settings(folder)) as service, _client(service) as client:
            _compare(before, client, checks)
        shutil.rmtree(jobs_dir(ports["gateway"]))
    print("\nThe restored product has all jobs." if not checks.failed else f"\nFailed: {'; '.join(checks.failed)}.")
    return 1 if checks.failed else 0


def _back_up(folder: Path, checks: Checks) -> Before:
    """Run the first product, back it up in the middle of a job, kill it and delete its jobs."""
    ports = service_ports()
    settings = {"ICH_GATEWAY_SENDERS_FILE": str(folder / "senders")}
    with _product("before", ports, settings) as service, _client(service) as client:
        request = _job_request(client, _SERIES[0])
        finished = client.send(request).raise_for_status().json()["id"]
        _wait_until(client, finished, lambda document: document["status"] in ENDED)
        in_work = client.send(_job_request(client, _SERIES[1])).raise_for_status().json()["id"]
        _wait_until(client, in_work, lambda document: document["progress"]["series_done"] > 0)
        partial = _reports(client, in_work)
        _make("backup", folder, ports["gateway"])
        running = client.get(f"/v1/jobs/{in_work}").json()["status"]
        checks.check("the second job was in work during the whole backup", held=running == "running", seen=running)
        before = Before(finished, in_work, _answers(client, finished), request, partial)
        _kill_all(service)
    shutil.rmtree(service.jobs_dir)
    return before


def _compare(before: Before, client: httpx.Client, checks: Checks) -> None:
    refused = client.get("/v1/jobs", headers={"authorization": "Bearer another-0123456789"}).status_code
    checks.check("the restored file of keys is in force: another key is 401", held=refused == 401, seen=refused)
    known = {job["id"] for job in client.get("/v1/jobs").json()["jobs"]}
    checks.check("both jobs are there, and no other", held=known == {before.finished, before.in_work}, seen=known)
    for name, answer in _answers(client, before.finished).items():
        checks.check(f"the finished job is the same, byte for byte: {name}", held=answer == before.answers[name])
    again = client.send(_again(client, before.request)).json()["id"]
    checks.check("its Idempotency-Key still names it", held=again == before.finished, seen=again)
    document = _wait_until(client, before.in_work, lambda found: found["status"] in ENDED)
    checks.check("the job in work finishes", held=document["status"] == "finished", seen=document["status"])
    after = _reports(client, before.in_work)
    checks.check(f"it has one report for each of {_SERIES[1]} series", held=len(after) == _SERIES[1], seen=len(after))
    changed = [uid for uid, report in before.partial.items() if after.get(uid) != report]
    checks.check(
        f"its {len(before.partial)} reports from before the backup are the same", held=not changed, seen=changed
    )


def _answers(client: httpx.Client, job: str) -> dict[str, bytes]:
    answers = {"document": client.get(f"/v1/jobs/{job}").content}
    for accept in _FORMATS:
        answers[f"reports as {accept}"] = client.get(f"/v1/jobs/{job}/reports", headers={"accept": accept}).content
    return answers


def _reports(client: httpx.Client, job: str) -> dict[str, Any]:
    """The reports of a job at this moment, by series UID."""
    reports = client.get(f"/v1/jobs/{job}/reports").json()["reports"]
    return {report["series"]["series_instance_uid"]: report for report in reports}


def _job_request(client: httpx.Client, series: int) -> httpx.Request:
    headers = {"idempotency-key": f"drill-{series}"}
    request = client.build_request("POST", "/v1/jobs", files=list(parts(series_uids(series), 6)), headers=headers)
    request.read()
    return request


def _again(client: httpx.Client, request: httpx.Request) -> httpx.Request:
    """The same request, for another product."""
    headers = {name: request.headers[name] for name in ("content-type", "idempotency-key")}
    return client.build_request("POST", "/v1/jobs", content=request.content, headers=headers)


def _wait_until(client: httpx.Client, job: str, until: Any) -> dict[str, Any]:
    deadline = time.monotonic() + _LIMIT_S
    while True:
        document: dict[str, Any] = client.get(f"/v1/jobs/{job}").raise_for_status().json()
        if until(document) or time.monotonic() > deadline:
            return document
        time.sleep(_READ_S)


def _make(target: str, folder: Path, port: int) -> None:
    variables = [f"GATEWAY_PORT={port}", f"BACKUP={folder / 'backup.tar'}", f"SETTINGS={folder / 'settings'}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    venv = Path(sys.executable).parents[1]
    subprocess.run(["make", "-s", f"VENV={venv}", target, *variables], cwd=ROOT, env=environment, check=True)


def _restored_settings(folder: Path) -> dict[str, str]:
    """The variables that `environment.sh` exports."""
    command = ["sh", "-c", f". {folder / 'settings' / 'environment.sh'} && env -0"]
    found = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True).stdout
    pairs = (line.partition("=") for line in found.split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("ICH_")}


@contextmanager
def _product(name: str, ports: Mapping[str, int], settings: Mapping[str, str]) -> Iterator[Service]:
    no_drain = {f"ICH_{stage.upper()}_DRAIN_S": "0" for stage in NAMES}
    with running_service(ROOT / ".run" / f"drill-backup-{name}.log", ports, {**no_drain, **settings}) as service:
        yield service


@contextmanager
def _client(service: Service) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {_KEY}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def _kill_all(service: Service) -> None:
    """As a power cut: no process ends in order, work horses included."""
    processes = list(_tree(service.supervisor))
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_S
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(_READ_S)


def _tree(process: int) -> Iterator[int]:
    """A process and all its descendants, parents first, so that none is replaced."""
    yield process
    for child in children(process):
        yield from _tree(child)


def _lives(process: int) -> bool:
    """Whether a process runs; one that nobody has waited for is dead too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
