import time
from email.utils import formatdate

import pytest

from services.common.retry_after import retry_after_s


@pytest.mark.parametrize(("value", "seconds"), [("30", 30), ("0", 0), ("", None), ("soon", None), ("-1", None)])
def test_a_number_of_seconds_or_nothing(value: str, seconds: float | None) -> None:
    assert retry_after_s(value) == seconds


def test_a_date_in_the_past_is_no_wait() -> None:
    assert retry_after_s(formatdate(time.time() - 60)) == 0
