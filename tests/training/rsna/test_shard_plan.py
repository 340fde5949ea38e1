import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.recipe import DEFAULT_RECIPE
from training.io.errors import TrainingError
from training.io.tables import write_table
from training.rsna.shard_plan import PLAN, VERSION, ShardPlan, claim_folder, plan_for, read_plan, series_starts

A_PLAN = ShardPlan("abc", 3, -200, 500)


def _rows(series: list[tuple[str, str]]) -> pa.Table:
    return pa.table({"study_uid": [study for study, _ in series], "series_uid": [uid for _, uid in series]})


def test_a_claimed_folder_is_read_with_its_plan(tmp_path: Path) -> None:
    claim_folder(tmp_path, A_PLAN)
    assert read_plan(tmp_path) == A_PLAN
    claim_folder(tmp_path, A_PLAN)


def test_shards_of_another_index_are_an_error_and_keep_their_plan(tmp_path: Path) -> None:
    claim_folder(tmp_path, A_PLAN)
    with pytest.raises(TrainingError, match="shards of another index"):
        claim_folder(tmp_path, replace(A_PLAN, digest="other"))
    assert read_plan(tmp_path) == A_PLAN


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"digest": "abc"}', '{"unknown": 1}'])
def test_a_folder_without_a_whole_plan_names_the_command(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / PLAN).write_text(content)
    with pytest.raises(TrainingError, match="run `python -m training shards`"):
        read_plan(tmp_path)


def test_a_plan_that_names_no_version_is_of_the_first(tmp_path: Path) -> None:
    older = {name: value for name, value in asdict(A_PLAN).items() if name != "version"}
    (tmp_path / PLAN).write_text(json.dumps(older))
    with pytest.raises(TrainingError, match=f"shards of version 1; this program reads version {VERSION}"):
        read_plan(tmp_path)


def test_a_plans_digest_depends_on_the_index_and_the_size_of_a_shard(tmp_path: Path) -> None:
    index = tmp_path / "index.parquet"
    write_table(index, _rows([]), "first")
    plan = plan_for(index, DEFAULT_RECIPE, 4, 100)
    assert plan == plan_for(index, DEFAULT_RECIPE, 4, 100)
    assert plan.digest != plan_for(index, DEFAULT_RECIPE, 4, 200).digest
    write_table(index, _rows([]), "second")
    assert plan.digest != plan_for(index, DEFAULT_RECIPE, 4, 100).digest


def test_shards_are_numbered_with_five_digits(tmp_path: Path) -> None:
    assert A_PLAN.stem(tmp_path, 12) == tmp_path / "00012"


@given(st.lists(st.integers(1, 4), max_size=8))
def test_series_start_where_those_before_them_end(lengths: list[int]) -> None:
    rows = [("study", str(number)) for number, length in enumerate(lengths) for _ in range(length)]
    assert series_starts(_rows(rows)) == [sum(lengths[:number]) for number in range(len(lengths) + 1)]


def test_the_same_series_identifier_in_another_study_is_another_series() -> None:
    assert series_starts(_rows([("a", "1"), ("a", "1"), ("b", "1")])) == [0, 2, 3]
