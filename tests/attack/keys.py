"""Guesses of keys."""

from collections import Counter
from typing import Final

import httpx

from tests.attack.attack import ATTACKER_ADDRESS, NEIGHBOUR_ADDRESS, Attack, Outcome, Target

_GUESSES: Final = 300
_FREE: Final = 10
_SLOW_S: Final = 1.0


def _guess(target: Target, address: str) -> Outcome:
    statuses, retry_after = Counter[int](), ""
    with target.client(None, address) as client:
        for number in range(_GUESSES):
            answer = client.get("/v1/jobs", headers={"authorization": f"Bearer guess-{number:016}"})
            statuses[answer.status_code] += 1
            retry_after = answer.headers.get("retry-after", "")
    held = statuses[httpx.codes.UNAUTHORIZED] <= _FREE + 1 and retry_after.isdigit()
    return Outcome(f"{statuses[401]} x 401, {statuses[429]} x 429, Retry-After {retry_after or '-'}", held=held)


def _guess_from_the_neighbour(target: Target) -> Outcome:
    """The second sender has used its key from this address, and must not be locked out."""
    return _guess(target, NEIGHBOUR_ADDRESS)


def _guess_from_elsewhere(target: Target) -> Outcome:
    return _guess(target, ATTACKER_ADDRESS)


ATTACKS: Final = (
    Attack("300 guesses of a key", "10 are 401, then 429", _guess_from_elsewhere),
    Attack("300 guesses of a key from the second sender's address", "10 are 401, then 429", _guess_from_the_neighbour),
)
