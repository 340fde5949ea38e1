"""Each alert fires where it should and nowhere else: `promtool test rules` of Prometheus."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from tests.prometheus.rule_cases import CASES, Case, Series
from tests.running import ROOT

pytestmark = pytest.mark.prometheus
RULES: Final = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def _test(case: Case, series: Series, *, fires: bool) -> dict[str, Any]:
    unit, name = "h" if case.hours else "m", case.alert
    expression = f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)'
    look = {"expr": expression, "eval_time": f"{case.at}{unit}"}
    return {
        "name": f"{name} {'fires' if fires else 'is quiet'}",
        "interval": f"1{unit}",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [{**look, "exp_samples": [{"labels": "{}", "value": int(fires)}]}],
    }


@pytest.mark.parametrize("hours", [False, True])
def test_each_alert_fires_and_is_quiet(tmp_path: Path, *, hours: bool) -> None:
    cases = [case for case in CASES if case.hours == hours]
    tests = [_test(case, case.firing, fires=True) for case in cases]
    tests += [_test(case, case.quiet, fires=False) for case in cases]
    file, interval = tmp_path / "tests.yaml", "1h" if hours else "1m"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": tests}))
    found = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_has_a_case() -> None:
    groups = YAML(typ="safe").load(RULES)["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts == {case.alert for case in CASES}
