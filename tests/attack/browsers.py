"""A hostile page in the browser of a user whose machine runs the product."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import httpx

from services.gateway.uploads.multipart_form import FORM_FIELD
from tests.attack.attack import NEIGHBOUR_ADDRESS, Attack, Outcome, Target, describe
from tests.scans import ct_slice, head

_EVIL: Final = "evil.example.org"
_SLICE: Final = ct_slice(0, head(256))


def _rebinding(target: Target) -> Outcome:
    """The page's own name points to 127.0.0.1: the browser sends that name as Host."""
    host = {"host": f"{_EVIL}:{target.port}"}
    with target.client(address=NEIGHBOUR_ADDRESS) as browser:
        answers = [browser.get("/v1/jobs", headers=host), browser.delete("/v1/jobs/0", headers=host)]
    return _all_answered(answers, 421)


def _cross_site(headers: Mapping[str, str], target: Target) -> Outcome:
    """A form of the page posts files: a simple request, without a preflight."""
    files = {FORM_FIELD: ("slice.dcm", _SLICE)}
    with target.client(address=NEIGHBOUR_ADDRESS) as browser:
        answers = [browser.post(path, files=files, headers=headers) for path in ("/v1/jobs", "/v1/predictions")]
    return _all_answered(answers, 403)


def _to_a_stage(target: Target) -> Outcome:
    """The page posts to preprocess, which has no keys."""
    url = f"http://127.0.0.1:{target.service.ports['preprocess']}/v2/models/series/infer"
    answer = httpx.post(url, content=b"{}", headers={"origin": f"https://{_EVIL}"})
    return _all_answered([answer], 403)


def _all_answered(answers: list[httpx.Response], status: int) -> Outcome:
    return Outcome(", ".join(map(describe, answers)), held=all(answer.status_code == status for answer in answers))


ATTACKS: Final = (
    Attack("a page reads and deletes jobs by DNS rebinding", "421", _rebinding),
    Attack(
        "a page posts jobs (Sec-Fetch-Site: cross-site)",
        "403",
        partial(_cross_site, {"origin": f"https://{_EVIL}", "sec-fetch-site": "cross-site"}),
    ),
    Attack("a page in an old browser posts jobs (Origin)", "403", partial(_cross_site, {"origin": "null"})),
    Attack(
        "a page on another port of localhost posts jobs",
        "403",
        partial(_cross_site, {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}),
    ),
    Attack("a page posts to a stage", "403", _to_a_stage),
)
