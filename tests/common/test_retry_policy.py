from services.common.retry_policy import RetryPolicy


def test_delays_double_up_to_a_limit() -> None:
    policy = RetryPolicy(first_delay_s=5, give_up_s=1, max_delay_s=3600)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 10, 1000)] == [5, 10, 20, 2560, 3600]


def test_jitter_takes_up_to_half_away() -> None:
    delays = {RetryPolicy(first_delay_s=8, give_up_s=1).jittered_s(1) for _ in range(100)}
    assert len(delays) > 1
    assert all(4 <= delay <= 8 for delay in delays)
