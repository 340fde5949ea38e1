"""Sizes of clusters, and the commands that print them."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.cluster_model.__main__ import main
from tests.bench.cluster_model.arrivals import Demand
from tests.bench.cluster_model.cluster import Shape
from tests.bench.cluster_model.sizing import Price, core_s_of_a_study, simulate, size, size_of_one_host
from tests.bench.cluster_model.times import Work
from tests.bench.test_cluster_model import TIMES

SLOW = replace(TIMES, cnn=Work(0.1, 0.2, threads=2))
DEMAND = Demand(20_000, sites=10)


def test_a_size_keeps_the_limit_and_grows_with_the_demand() -> None:
    small, large = (size(replace(DEMAND, studies_per_day=studies), SLOW, 60) for studies in (2_000, 20_000))
    assert small.shape.cnn < large.shape.cnn
    for found in (small, large):
        assert found.p99_s <= 60
        assert found.busiest <= 0.7


def test_one_host_is_large_enough_or_none() -> None:
    found = size_of_one_host(replace(DEMAND, studies_per_day=500), TIMES, 60)
    assert found
    assert found.shape.cores == 2
    assert size_of_one_host(replace(DEMAND, studies_per_day=2_000_000), TIMES, 60) is None


def test_more_replicas_shorten_the_turn_around_and_cost_more() -> None:
    few, many = (simulate(Shape(cnn=count, workers=24), DEMAND, SLOW, Price(1.0)) for count in (4, 16))
    assert many.p99_s < few.p99_s
    assert many.cost - few.cost == pytest.approx(24 * (16 - 4) * 2 / 20_000)


def test_core_seconds_of_a_study() -> None:
    demand = Demand(1, slices=(32,))
    chunks = 2 * (0.01 + 0.005)
    assert core_s_of_a_study(TIMES, demand) == pytest.approx(0.07 + chunks + 32 * (0.002 + 0.003 + 0.004 + 0.01))


def test_a_gpu_is_one_core_of_its_own() -> None:
    times = TIMES.with_gpu(1000, 0.005)
    assert times.cnn.core_s(16) == pytest.approx(0.005 + 0.016)
    assert "assumed" in times.origin


def test_the_command_prints_one_row_for_ones_own_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TIMES.write(tmp_path / "times.json")
    command = ["--times", str(tmp_path / "times.json"), "--studies", "3000", "--sites", "3", "--slices", "8"]
    assert main([*command, "--core-hour", "1", "--cnn-factor", "2"]) == 0
    *_, heading, rule, row = capsys.readouterr().out.splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert row.startswith("| 3,000 | 3 | ")
