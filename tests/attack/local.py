"""Attacks from the same machine, and by a sender on others: Redis, files, a second gateway, a slow webhook."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
from redis import Redis

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.attack.attack import NEIGHBOUR_ADDRESS, NEIGHBOUR_KEY, Attack, Outcome, Target, describe
from tests.receiver import receiving
from tests.running import ROOT, Service, free_ports
from tests.scans import ct_slice, head
from tests.slow_receiver import drip, serving

_MARK: Final = ROOT / ".run" / "attack-mark"
_QUEUE: Final = "ich-urgent"
_SLICE: Final = ct_slice(0, head(256))
_NOBODY: Final = 65534
_WAIT_S: Final = 20.0
_PIECES: Final = 8
_PIECE_PAUSE_S: Final = 0.8
_BECOME: Final = f"import json, os, socket, sys; os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})"
_LOOK: Final = """
found = 0
for top in sys.argv[2:]:
    for folder, _, names in os.walk(top):
        found += sum(os.access(os.path.join(folder, name), os.R_OK) for name in names)
kind, address = json.loads(sys.argv[1])
try:
    socket.socket(getattr(socket, kind)).connect(tuple(address) if kind == "AF_INET" else address)
    redis = "answers"
except OSError as error:
    redis = "refuses"
print(found, redis)
"""


def webhook_settings(folder: Path) -> dict[str, str]:
    """Settings that allow webhooks to two free ports of this machine, the first for the attacker."""
    (folder / "webhook").write_text(f"whsec_{base64.b64encode(os.urandom(32)).decode()}")
    addresses = [f"http://127.0.0.1:{port}" for port in free_ports(2)]
    return {
        "ICH_GATEWAY_WEBHOOKS_ALLOWED": json.dumps(addresses),
        "ICH_GATEWAY_WEBHOOK_SECRET_FILE": str(folder / "webhook"),
    }


def leave_mark(*_: Any) -> None:
    """Show that a worker ran a foreign call: RQ would pass a call's arguments, or those of a callback."""
    _MARK.touch()


def _environment(service: Service) -> dict[str, str]:
    """The environment of the running gateway."""
    words = Path(f"/proc/{service.process('gateway')}/environ").read_text().rstrip("\0").split("\0")
    return dict(word.split("=", 1) for word in words)


def _redis(service: Service) -> Redis:
    return Redis.from_url(_environment(service)["ICH_GATEWAY_REDIS_URL"])


def _send_job(client: httpx.Client, **query: str) -> str:
    with client as sender:
        answer = sender.post("/v1/jobs", params=query, files=[(FORM_FIELD, ("a.dcm", _SLICE))]).raise_for_status()
    return str(answer.json()["id"])


def _wait_until_ended(target: Target, job: str) -> bool:
    deadline = time.monotonic() + _WAIT_S
    with target.client() as sender:
        while time.monotonic() < deadline:
            if sender.get(f"/v1/jobs/{job}").json()["ended"]:
                return True
            time.sleep(0.1)
    return False


def _foreign_calls(target: Target) -> Outcome:
    """Queue a foreign function, and callbacks after a call that the product knows."""
    _MARK.unlink(missing_ok=True)
    function, ours = "tests.attack.local.leave_mark", "services.gateway.jobs.tasks.run_ticket"
    with _redis(target.service) as redis:
        for number, name in enumerate(("data", "success_callback_name", "failure_callback_name")):
            ticket = f"{number:016x}"
            arguments = ["urgent", "nobody", 0] + ([] if name.startswith("failure") else [ticket])  # or it fails
            call: list[Any] = [function if name == "data" else ours, None, arguments, {}]
            fields = {"data": zlib.compress(json.dumps(call).encode()), "status": "queued", "origin": _QUEUE}
            redis.hset(f"rq:job:{ticket}", mapping={**fields, **({} if name == "data" else {name: function})})
            redis.rpush(f"rq:queue:{_QUEUE}", ticket)
    processed = _wait_until_ended(target, _send_job(target.client(), priority="urgent"))
    ran = _MARK.exists()
    _MARK.unlink(missing_ok=True)
    answer = f"{'ran' if ran else 'dropped'}; a job behind it {'ended' if processed else 'waits'}"
    return Outcome(answer, held=processed and not ran)


def _another_user(target: Target) -> Outcome:
    """Read files of jobs and uploads, and connect to Redis, as `nobody`."""
    if os.geteuid() != 0:
        return Outcome("not tried: needs root", held=True)
    job = _send_job(target.client())
    environment = _environment(target.service)
    places = [environment[f"ICH_GATEWAY_{name}_DIR"] for name in ("JOBS", "SPOOL")]
    url = environment["ICH_GATEWAY_REDIS_URL"]
    command = [sys.executable, "-c", f"{_BECOME}\n{_LOOK}", json.dumps(_address(url)), *places]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files, redis = ended.stdout.split()
    _wait_until_ended(target, job)
    return Outcome(f"{files} files readable; Redis {redis}", held=(files, redis) == ("0", "refuses"))


def _address(url: str) -> tuple[str, Any]:
    """The kind of socket and the address of Redis."""
    if url.startswith("unix:"):
        return "AF_UNIX", url.removeprefix("unix://")
    return "AF_INET", ("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0]))


def _second_gateway(target: Target) -> Outcome:
    """Start a second gateway on the same folders while an upload is half received."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "services.gateway", "--port", str(port)]
    half = threading.Event()
    with ThreadPoolExecutor(1) as uploads:
        upload = uploads.submit(_slow_upload, target, half)
        half.wait(_WAIT_S)
        with subprocess.Popen(
            command, cwd=ROOT, env=_environment(target.service), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as second:
            answer = upload.result()
            refused = second.poll() not in (None, 0)
            second.kill()
    return Outcome(f"{'refused' if refused else 'started'}; the upload: {answer}", held=refused and answer == "202")


def _slow_upload(target: Target, half: threading.Event) -> str:
    with target.client() as sender:
        request = sender.build_request("POST", "/v1/jobs", files=[(FORM_FIELD, ("a.dcm", _SLICE))])
        body = request.read()
        headers = {"content-type": request.headers["content-type"]}
        return describe(sender.post("/v1/jobs", headers=headers, content=_pieces(body, half)))


def _pieces(body: bytes, half: threading.Event) -> Iterator[bytes]:
    size = len(body) // _PIECES + 1
    for number in range(_PIECES):
        if number == _PIECES // 4:
            half.set()
        yield body[number * size : (number + 1) * size]
        time.sleep(_PIECE_PAUSE_S)


def _slow_webhook(target: Target) -> Outcome:
    """Let a receiver send its headers byte by byte; another sender's receiver must get its message."""
    slow, other = json.loads(_environment(target.service)["ICH_GATEWAY_WEBHOOKS_ALLOWED"])
    with serving(drip, _port(slow)), receiving(port=_port(other)) as receiver:
        jobs = [_send_job(target.client(), webhook=f"{slow}/") for _ in range(12)]
        if not all(_wait_until_ended(target, job) for job in jobs):
            return Outcome("the jobs did not end", held=False)
        begin = time.monotonic()
        _send_job(target.client(NEIGHBOUR_KEY, NEIGHBOUR_ADDRESS), webhook=f"{other}/")
        while not receiver.received and time.monotonic() < begin + _WAIT_S:
            time.sleep(0.05)
        waited_s = time.monotonic() - begin
    return Outcome(
        f"delivered in {waited_s:.1f} s" if receiver.received else f"not delivered in {waited_s:.0f} s",
        held=bool(receiver.received),
    )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


ATTACKS: Final = (
    Attack("Redis: foreign functions and callbacks in the queue", "none runs, jobs are processed", _foreign_calls),
    Attack("another user of the machine", "no file, no connection to Redis", _another_user),
    Attack("a second gateway on the same folders", "refuses, the upload is accepted", _second_gateway),
    Attack("12 webhooks to a receiver that never ends its answer", "another's arrives in 20 s", _slow_webhook),
)
