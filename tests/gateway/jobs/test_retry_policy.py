from services.gateway.jobs.retry_policy import RetryPolicy


def test_delays_double_up_to_a_limit() -> None:
    policy = RetryPolicy(first_delay_s=5, give_up_s=1, max_delay_s=3600)
    assert [policy.delay_s(failures) for failures in (1, 2, 3, 10, 1000)] == [5, 10, 20, 2560, 3600]
