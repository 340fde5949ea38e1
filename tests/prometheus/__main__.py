"""`python -m tests.prometheus` sends the sample and prints the answers to the dashboard's queries in Markdown."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.prometheus.server import panel_queries, sample_sent, scraping
from tests.running import running_service

_SAME: Final = {"__name__", "instance", "namespace", "service"}  # of one product
_MOST: Final = 3  # samples of one query


def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        with running_service(folder / "log") as service, scraping(service, folder) as prometheus:
            sample_sent(service, prometheus)
            print("| panel | query | answer |\n|---|---|---|")
            for title, expression in panel_queries():
                query, answer = expression.replace("|", r"\|"), _answer(prometheus.query(expression))
                print(f"| {title} | `{query}` | {answer} |")


def _answer(samples: list[dict[str, Any]]) -> str:
    return "; ".join(_texts(samples[:_MOST])) + (f"; {len(samples)} in all" if len(samples) > _MOST else "") or "none"


def _texts(samples: list[dict[str, Any]]) -> Iterator[str]:
    for sample in samples:
        labels = ", ".join(value for key, value in sorted(sample["metric"].items()) if key not in _SAME)
        yield f"{labels or 'all'}: {float(sample['value'][1]):.4g}"


if __name__ == "__main__":
    main()
