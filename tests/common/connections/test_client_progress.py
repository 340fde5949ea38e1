from services.common.connections.client_progress import Progress


def test_a_window_without_a_byte_is_too_slow() -> None:
    progress = Progress(30, 100, 0)
    assert not progress.too_slow(29.9)
    progress.add(10_000, 29)
    assert not progress.too_slow(58)
    assert progress.too_slow(59)


def test_a_window_with_too_few_bytes_is_too_slow() -> None:
    progress = Progress(30, 100, 0)
    for second in range(0, 30, 10):
        progress.add(999, second)
    assert progress.too_slow(30)


def test_each_good_window_begins_the_next_one() -> None:
    progress = Progress(30, 100, 0)
    progress.add(1_000_000, 29)
    assert not progress.too_slow(30)
    progress.add(1, 59)
    assert progress.too_slow(60), "bytes of an earlier window give no credit"


def test_a_reset_begins_anew() -> None:
    progress = Progress(30, 100, 0)
    progress.reset(29)
    assert not progress.too_slow(58)
    assert progress.too_slow(59)
