from typing import Any

from tests.attack.document import table_lines


def _row(**members: Any) -> dict[str, Any]:
    good = {"limit": "4xx in 5 s", "answer": "415", "seconds": 0.2, "memory_mb": 80, "share": 1.0, "livez_s": 0.03}
    return {**good, **members}


def test_a_line_has_the_harm_before_and_the_figures_now() -> None:
    before = {"a": _row(answer="200", seconds=81.2, memory_mb=10_000, share=0.5, livez_s=9.0)}
    (first, second) = table_lines(before, {"a": _row(), "b|c": _row()})
    assert first == (
        "| a | 4xx in 5 s | 200; 81 s; 10000 MB; other sender 50%; `/livez` 9.0 s | 415 | 0.2 | 80 | 100% | 0.03 |\n"
    )
    assert second.startswith("| b\\|c | 4xx in 5 s |  | 415 |")
