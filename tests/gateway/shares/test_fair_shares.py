from hypothesis import given
from hypothesis import strategies as st

from services.common.clients import ANONYMOUS, Client
from services.gateway.shares.fair_shares import FairShares

ANN, BOB = Client("ann", "192.0.2.1"), Client("bob", "192.0.2.1")


def test_a_sender_has_one_share_over_all_addresses_and_without_keys_each_address_has_one() -> None:
    assert Client("ann", "192.0.2.1").share == Client("ann", "192.0.2.2").share
    assert Client(ANONYMOUS, "192.0.2.1").share != Client(ANONYMOUS, "192.0.2.2").share


def test_one_client_leaves_a_reserve() -> None:
    shares = FairShares(90, 2)
    shares.add(ANN, 59)
    assert shares.fits(ANN, 1)
    assert not shares.fits(ANN, 2)
    assert shares.fits(BOB, 20)
    shares.add(ANN, -59)
    assert (shares.used, shares.held(ANN)) == (0, 0)


def test_a_clients_own_limit_and_the_available_amount_hold_too() -> None:
    assert not FairShares(90, 2, client_limit=5).fits(ANN, 6)
    assert FairShares(90, 2).fits(ANN, 20, available=30)
    assert not FairShares(90, 2).fits(ANN, 21, available=30)
    assert not FairShares(90, 2).has_room(91)


@given(st.integers(10, 10_000), st.lists(st.tuples(st.integers(0, 9), st.integers(1, 500)), max_size=300))
def test_the_limit_always_holds(limit: int, wishes: list[tuple[int, int]]) -> None:
    shares = FairShares(limit, 2)
    for number, more in wishes:
        client = Client(f"sender-{number}", "")
        if shares.fits(client, more):
            shares.add(client, more)
    assert shares.used <= limit


def test_greedy_clients_get_equal_shares_and_leave_a_reserve() -> None:
    shares, greedy = FairShares(9000, 2), [Client(f"sender-{number}", "") for number in range(4)]
    for _ in range(9000):
        for client in greedy:
            if shares.fits(client, 1):
                shares.add(client, 1)
    assert [shares.held(client) for client in greedy] == [2000] * 4
    assert shares.fits(BOB, 600)
