import time
from contextlib import ExitStack

import pytest

from services.common.clients import Client
from services.common.problems import Overloaded
from services.gateway.shares.admission import Admission, min_slices

ANN, BOB = Client("ann", "a"), Client("bob", "b")
SLICE_BYTES = 600_000


def test_slices_beyond_the_clients_share_are_refused_with_retry_after() -> None:
    admission = Admission(48)
    with admission.reserve(ANN), admission.reserve(ANN) as second:
        second.update(30)
        with pytest.raises(Overloaded) as refused, admission.reserve(ANN, 2 * SLICE_BYTES):
            pass
        assert int(refused.value.headers()["retry-after"]) >= 1
        with admission.reserve(ANN):
            assert admission.reserved == 32
    assert admission.reserved == 0


def test_an_announcement_is_checked_and_holds_nothing() -> None:
    admission = Admission(48)
    with ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(admission.reserve(ANN, 10 * SLICE_BYTES))
        assert admission.reserved == 20
        with admission.reserve(BOB, 40 * SLICE_BYTES) as other:
            other.update(40)


def test_a_reservation_holds_what_it_received_then_the_true_number() -> None:
    admission = Admission(48)
    with admission.reserve(ANN), admission.reserve(ANN) as upload:
        upload.received(10 * SLICE_BYTES)
        upload.received(11 * SLICE_BYTES - 1)
        assert admission.reserved == 11
        with pytest.raises(Overloaded):
            upload.received(32 * SLICE_BYTES)
        upload.update(4)
        assert admission.reserved == 5


def test_a_clients_only_request_is_accepted_however_long() -> None:
    admission = Admission(48)
    with admission.reserve(ANN) as one, admission.reserve(BOB) as other:
        one.update(2000)
        other.update(2000)
        assert admission.reserved == 4000
        with pytest.raises(Overloaded), admission.reserve(ANN, 60 * SLICE_BYTES):
            pass


def test_many_clients_with_long_series_leave_room_for_the_next_one() -> None:
    admission = Admission(512)
    with ExitStack() as held:
        for number in range(50):
            held.enter_context(admission.reserve(Client(f"sender-{number}", ""))).update(2000)
        held.enter_context(admission.reserve(BOB)).update(34)


def test_more_clients_than_slices_are_refused() -> None:
    admission = Admission(4)
    with ExitStack() as held:
        for number in range(4):
            held.enter_context(admission.reserve(Client(f"sender-{number}", "")))
        with pytest.raises(Overloaded), admission.reserve(BOB):
            pass


def test_a_refused_request_gives_back_what_it_held() -> None:
    admission = Admission(48)
    with admission.reserve(ANN):
        with admission.reserve(ANN) as second:
            second.received(20 * SLICE_BYTES)
            with pytest.raises(Overloaded):
                second.update(100)
        assert admission.reserved == 1


def test_retry_after_is_the_time_of_the_slices_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, admission = [100.0], Admission(48)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with admission.reserve(ANN) as reservation:
        reservation.update(10)
        clock[0] += 5
    with admission.reserve(ANN), admission.reserve(ANN) as second:
        second.update(29)
        with pytest.raises(Overloaded) as refused:
            second.update(40)
    assert refused.value.headers()["retry-after"] == "15"


def test_an_upload_has_at_least_one_slice() -> None:
    assert [min_slices(count) for count in (0, 1, SLICE_BYTES, 34 * SLICE_BYTES)] == [1, 1, 1, 34]
