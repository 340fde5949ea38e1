import io
import sys

import pytest

from training.io.progress import progress_bar


def test_a_log_gets_few_lines_and_a_resumed_step_starts_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with progress_bar("headers", 100, "files", done=40) as bar:
        assert bar.n == 40
        for _ in range(60):
            bar.update()
        assert bar.mininterval == 10
    assert bar.n == bar.total == 100
    text = log.getvalue()
    assert "headers:  40%" in text
    assert "100/100" in text
    assert text.count("\r") < 5
