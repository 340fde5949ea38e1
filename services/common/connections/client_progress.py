"""How long a connection has waited for its client, and whether the client is fast enough."""


class Progress:
    """Bytes that a client must send or read, in windows of time.

    Parameters
    ----------
    window_s
        seconds without any byte after which the client is too slow
    min_bytes_per_s
        the least mean rate over a window
    now
        seconds
    """

    def __init__(self, window_s: float, min_bytes_per_s: int, now: float) -> None:
        self._window_s = window_s
        self._min_bytes = window_s * min_bytes_per_s
        self.reset(now)

    def reset(self, now: float) -> None:
        """Restart the window: the connection does not wait for the client."""
        self._begin = self.last = now
        self._bytes = 0

    def add(self, count: int, now: float) -> None:
        """Count bytes that the client sent or read."""
        self._bytes += count
        self.last = now

    def too_slow(self, now: float) -> bool:
        """Whether a window has passed without a byte, or with too few; a good window begins the next one."""
        if now - self.last >= self._window_s:
            return True
        if now - self._begin < self._window_s:
            return False
        if self._bytes < self._min_bytes:
            return True
        self._begin, self._bytes = now, 0
        return False
