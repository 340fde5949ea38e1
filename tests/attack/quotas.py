"""Floods of a sender that has a rate and a quota."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx

from tests.attack.attack import Attack, Outcome, Target
from tests.attack.shares import deleted_jobs, flood, small_series, summary

LIMITED_KEY: Final = "limited-0123456789"
LIMITED_SENDER: Final = f"limited {LIMITED_KEY}\n"
_RATE: Final = 240
_JOBS: Final = 3
_LIMITS: Final = f"[senders.limited]\njobs = {_JOBS}\nrequests_per_minute = {_RATE}\n"
_THREADS: Final = 8
_SENT: Final = 40
_ENDED: Final = ("finished", "failed", "cancelled")


def quota_settings(folder: Path) -> dict[str, str]:
    """Settings of a product with one limited sender."""
    (folder / "quotas.toml").write_text(_LIMITS)
    return {"ICH_GATEWAY_QUOTA_FILE": str(folder / "quotas.toml")}


def _requests(target: Target) -> Outcome:
    """As fast as they are answered; the minute refills by four a second."""
    with target.client(LIMITED_KEY) as client:
        statuses = flood(_THREADS, lambda: client.get("/v1/jobs").status_code)
    accepted, refused = statuses[httpx.codes.OK], statuses[httpx.codes.TOO_MANY_REQUESTS]
    return Outcome(summary(statuses).answer, held=accepted <= 2 * _RATE and refused > 0 and set(statuses) == {200, 429})


def _jobs(target: Target) -> Outcome:
    """At the same time; the quota counts those that have not ended."""
    with deleted_jobs(target, LIMITED_KEY) as jobs, target.client(LIMITED_KEY) as client:

        def send(_: int) -> int:
            answer = client.post("/v1/jobs", files=small_series(1))
            jobs.extend([answer.json()["id"]] if answer.is_success else [])
            return answer.status_code

        with ThreadPoolExecutor(_THREADS) as pool:
            statuses = Counter(pool.map(send, range(_SENT)))
        states = [client.get(f"/v1/jobs/{job}").json().get("status") for job in jobs]
    still_open = sum(state not in _ENDED for state in states)
    held = 0 < still_open <= _JOBS < len(jobs) + statuses[429] and set(statuses) == {202, 429}
    return Outcome(f"{summary(statuses).answer}; {still_open} open", held=held)


ATTACKS: Final = (
    Attack("40 jobs at once of a sender with a quota of 3 open jobs", "3 are open; then 429", _jobs),
    Attack("requests of 8 threads beyond a sender's 240 a minute", "429 beyond its minute", _requests),
)
