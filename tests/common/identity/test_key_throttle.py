import pytest

from services.common.identity.key_throttle import FREE_FAILURES, FREE_GUESSES, KeyThrottle


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def throttle(clock: list[float]) -> KeyThrottle:
    return KeyThrottle(lambda: clock[0])


def guess(throttle: KeyThrottle, count: int, address: str = "a") -> list[int | None]:
    return [throttle.fail(address, b"%d" % number) for number in range(count)]


def test_failures_beyond_the_free_ones_have_a_retry_after(throttle: KeyThrottle, clock: list[float]) -> None:
    assert guess(throttle, FREE_FAILURES + 2) == [None] * FREE_FAILURES + [10, 10]
    assert throttle.throttled == 2
    assert throttle.fail("b", b"") is None, "another address"
    clock[0] += 10
    assert guess(throttle, 2) == [None, 10], "one more each 10 s"
    clock[0] += 1e6
    assert guess(throttle, FREE_FAILURES + 1) == [None] * FREE_FAILURES + [10], "and never more than at first"


def test_right_keys_are_tried_until_many_different_keys_were_wrong(throttle: KeyThrottle, clock: list[float]) -> None:
    guess(throttle, FREE_GUESSES - 1)
    assert throttle.accepts("a", b"right")
    guess(throttle, FREE_GUESSES)
    assert not throttle.accepts("a", b"other right")
    assert throttle.accepts("b", b"other right")
    assert throttle.accepts("a", b"right"), "known from before"
    clock[0] += 20
    assert throttle.accepts("a", b"other right")


def test_a_client_that_repeats_one_wrong_key_guesses_nothing(throttle: KeyThrottle) -> None:
    answers = [throttle.fail("a", b"the same") for _ in range(500)]
    assert answers[-1] == 10
    assert throttle.accepts("a", b"right")


@pytest.mark.parametrize("count", [20, FREE_GUESSES - 1])
def test_old_keys_that_repeat_do_not_lock_out_right_ones(throttle: KeyThrottle, count: int) -> None:
    for _ in range(10):
        guess(throttle, count)
    assert throttle.accepts("a", b"right")


def test_a_key_that_repeats_counts_once_between_many_others(throttle: KeyThrottle) -> None:
    for number in range(3 * FREE_GUESSES):
        throttle.fail("a", b"the same")
        throttle.fail("a", b"%d" % number)
    assert len(throttle._addresses["a"].wrong) == FREE_GUESSES
    assert not throttle._addresses["a"].is_new(b"the same")
    assert throttle._addresses["a"].is_new(b"0"), "the oldest one is forgotten"


def test_a_known_key_is_forgotten_after_a_day(throttle: KeyThrottle, clock: list[float]) -> None:
    assert throttle.accepts("a", b"right")
    clock[0] += 25 * 3600
    guess(throttle, FREE_GUESSES)
    assert not throttle.accepts("a", b"right")


def test_the_tables_are_bounded(throttle: KeyThrottle) -> None:
    for number in range(11_000):
        throttle.fail(f"address-{number}", b"")
        assert throttle.accepts("a", b"%d" % number)
    assert len(throttle._addresses) == len(throttle._known) == 10_000
