from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from services.common.clients import ANONYMOUS
from services.common.identity.api_keys import ApiKeys
from services.common.identity.authentication import Identity, add_identity, authenticate
from services.common.identity.key_lines import hash_key
from services.common.identity.principal import Principal
from services.common.identity.problems import TooManyWrongKeys, Unauthorized
from services.common.problems import Problem

pytestmark = pytest.mark.anyio
ADDRESS = "192.0.2.1"
ANNS, BOBS = "a-key-of-anns-0001", "a-key-of-bobs-0001"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "senders"
    path.write_text(f"# who may send\nann {ANNS}\nbob\t{BOBS}  # the second\n\nann another-key-of-anns\n")
    return path


async def sender_of(keys: ApiKeys, authorization: str | None) -> str:
    """The sender that a route sees in a request with this header."""
    app = FastAPI()
    add_identity(app, Identity(keys))

    @app.get("/")
    def route(principal: Annotated[Principal, Depends(authenticate)]) -> str:
        return principal.id

    headers = {} if authorization is None else {"authorization": authorization}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return str((await client.get("/", headers=headers)).json())


async def test_a_key_gives_the_id_of_its_sender(keys_file: Path) -> None:
    keys = ApiKeys.read(keys_file)
    assert keys.required
    assert keys.principal(ANNS, ADDRESS).id == await sender_of(keys, f"Bearer {ANNS}") == "ann"
    assert await sender_of(keys, "bearer another-key-of-anns") == "ann"
    assert await sender_of(keys, f"Bearer {BOBS}") == "bob"


@pytest.mark.parametrize("header", [None, "", "Bearer", f"Basic {ANNS}", ANNS, f"Bearer {ANNS}x", "Bearer ann"])
async def test_a_request_without_a_known_key_is_unauthorized(keys_file: Path, header: str | None) -> None:
    with pytest.raises(Unauthorized):
        await sender_of(ApiKeys.read(keys_file), header)


@pytest.mark.parametrize("key", [None, "", f"{ANNS}x", "ann"])
def test_an_unauthorized_problem_names_the_scheme_and_no_key(keys_file: Path, key: str | None) -> None:
    with pytest.raises(Problem) as error:
        ApiKeys.read(keys_file).principal(key, ADDRESS)
    assert error.value.headers() == {"www-authenticate": "Bearer"}
    assert ANNS not in error.value.detail


async def test_without_a_file_every_request_has_the_same_sender() -> None:
    keys = ApiKeys.read(None)
    assert not keys.required
    assert keys.principal(None, ADDRESS).id == await sender_of(keys, "Bearer what ever") == ANONYMOUS


@pytest.mark.parametrize(
    "line",
    [
        "ann",
        "ann short",
        "a/b long-enough-key-000",
        "ann two words-and-more-000 x",
        f"ann {ANNS} root",
        f"ann {ANNS} read_all x",
    ],
)
def test_a_malformed_line_stops_the_start_and_is_not_quoted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "senders"
    path.write_text(f"ok {ANNS}\n{line}\n")
    with pytest.raises(ValueError, match="line 2") as error:
        ApiKeys.read(path)
    assert line not in str(error.value)


def test_the_third_word_of_a_line_names_roles(tmp_path: Path) -> None:
    path = tmp_path / "senders"
    path.write_text(f"ann {ANNS}\nbob {BOBS} read_all  # the reading room\n")
    keys = ApiKeys.read(path)
    assert not keys.principal(ANNS, ADDRESS).reads_all
    assert keys.principal(BOBS, ADDRESS) == Principal("bob", frozenset({"submit", "read", "read_all"}), "key")
    assert ApiKeys.read(None).principal(None, ADDRESS).roles == {"submit", "read"}


async def test_wrong_keys_are_throttled_over_every_route(keys_file: Path) -> None:
    keys = ApiKeys.read(keys_file)
    for number in range(10):
        with pytest.raises(Unauthorized):
            await sender_of(keys, f"Bearer wrong-key-{number:010}")
    with pytest.raises(TooManyWrongKeys) as throttled:
        await sender_of(keys, "Bearer wrong-key-0000000010")
    assert throttled.value.headers() == {"retry-after": "10"}
    assert await sender_of(keys, f"Bearer {ANNS}") == "ann"


async def test_requests_without_a_key_are_no_guesses(keys_file: Path) -> None:
    keys = ApiKeys.read(keys_file)
    for _ in range(30):
        with pytest.raises(Unauthorized):
            await sender_of(keys, None)


def test_after_many_guesses_a_right_key_from_a_foreign_address_is_answered_as_a_wrong_one(keys_file: Path) -> None:
    keys = ApiKeys.read(keys_file)
    assert keys.principal(ANNS, ADDRESS).id == "ann"
    refusals = []
    for number in range(100):
        with pytest.raises(Problem) as wrong:
            keys.principal(f"wrong-key-{number:010}", ADDRESS)
        refusals.append(wrong.value)
    with pytest.raises(TooManyWrongKeys) as right:
        keys.principal(BOBS, ADDRESS)
    assert right.value.document() == refusals[-1].document()
    assert keys.principal(ANNS, ADDRESS).id == "ann", "a sender of this address is not locked out"
    assert keys.principal(BOBS, "192.0.2.2").id == "bob"


def replace(path: Path, text: str) -> None:
    """Write a file in one step, as an editor or Kubernetes does."""
    part = path.with_name("part")
    part.write_text(text)
    part.replace(path)


def test_a_changed_file_is_read_at_the_next_request(keys_file: Path) -> None:
    keys = ApiKeys.read(keys_file)
    counts: list[int] = []
    keys.changed = counts.append
    assert keys.principal(ANNS, ADDRESS).id == "ann"
    replace(keys_file, f"eve {BOBS} admin\n")
    assert keys.principal(BOBS, ADDRESS) == Principal("eve", frozenset({"submit", "read", "admin"}), "key")
    with pytest.raises(Unauthorized):
        keys.principal(ANNS, ADDRESS)
    assert counts == [1]


def test_keys_behind_a_symbolic_link_are_read_again_once_it_points_elsewhere(tmp_path: Path) -> None:
    for name, key in (("one", ANNS), ("two", BOBS)):
        (tmp_path / name).write_text(f"ann {key}\n")
    link = tmp_path / "senders"
    link.symlink_to("one")
    keys = ApiKeys.read(link)
    link.unlink()
    link.symlink_to("two")
    assert keys.principal(BOBS, ADDRESS).id == "ann"


@pytest.mark.parametrize("broken", [b"ann short\n", b"\xff\xfe", None])
def test_a_broken_file_leaves_the_keys_and_is_reported_once(
    keys_file: Path, broken: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ApiKeys.read(keys_file)
    if broken is None:
        keys_file.unlink()
    else:
        keys_file.write_bytes(broken)
    for _ in range(3):
        assert keys.principal(ANNS, ADDRESS).id == "ann"
    assert keys.file_errors == 1
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "short" not in errors[0]
    replace(keys_file, f"bob {BOBS}\n")
    assert keys.principal(BOBS, ADDRESS).id == "bob"


def test_an_expired_key_is_refused_and_counts_as_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "senders"
    path.write_text(f"ann sha256:{hash_key(ANNS).hex()} expires=2020-01-01\n")
    keys = ApiKeys.read(path)
    for _ in range(30):
        with pytest.raises(Unauthorized) as error:
            keys.principal(ANNS, ADDRESS)
    assert "2020-01-01" in error.value.detail


async def test_a_key_with_bytes_that_are_no_text_is_unknown(keys_file: Path) -> None:
    with pytest.raises(Unauthorized):
        ApiKeys.read(keys_file).principal("\udcff\xe9 key of 16 characters", ADDRESS)
