import time
from pathlib import Path

from tests.bench.costs import energy_uj, measured_cost


def _counter(folder: Path, name: str, microjoules: str) -> Path:
    zone = folder / name
    zone.mkdir()
    (zone / "energy_uj").write_text(microjoules)
    return zone / "energy_uj"


def test_energy_is_that_of_the_packages_without_their_parts(tmp_path: Path) -> None:
    for name, microjoules in {"intel-rapl:0": "5\n", "intel-rapl:1": "7\n", "intel-rapl:0:0": "3\n"}.items():
        _counter(tmp_path, name, microjoules)
    assert energy_uj(tmp_path) == 12


def test_a_machine_without_counters_has_no_energy(tmp_path: Path) -> None:
    assert energy_uj(tmp_path) is None
    _counter(tmp_path, "intel-rapl:0", "5").unlink()
    assert energy_uj(tmp_path) is None


def test_a_cost_has_time_and_energy_of_the_work(tmp_path: Path) -> None:
    counter = _counter(tmp_path, "intel-rapl:0", "1000000")

    def work() -> None:
        counter.write_text("3500000")
        time.sleep(0.01)

    cost = measured_cost(work, iter([1.0, 4.0]).__next__, tmp_path)
    assert cost.wall_s >= 0.01
    assert (cost.cpu_s, cost.energy_j) == (3.0, 2.5)
