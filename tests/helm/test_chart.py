"""The objects of the chart are valid, by the schemas of Kubernetes and of the CRDs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from services.common.version import VERSION
from tests.helm.chart import CHART, VALUE_SETS, Rendered, rendered, run_helm, values_file

pytestmark = pytest.mark.helm

KUBERNETES: Final = "1.33"
SCHEMAS: Final = {
    path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("schemas").glob("*.json")
}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_helm_finds_no_fault(values: str) -> None:
    done = run_helm("lint", "--strict", CHART, "--values", values_file(values))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_is_valid(release: Rendered) -> None:
    for each in release.objects:
        if schema := SCHEMAS.get(each["kind"]):
            jsonschema.validate(each, schema)
        else:
            kubernetes_validate.validate(dict(each), KUBERNETES, strict=True)


def test_the_value_sets_cover_every_kind() -> None:
    kinds = {each["kind"] for values in VALUE_SETS for each in rendered(values).objects}
    assert set(SCHEMAS) < kinds
    assert {"Ingress", "NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "StatefulSet", "Secret"} < kinds


def test_a_schema_refuses_an_unknown_field() -> None:
    """KEDA's API server would drop it, and scale by a default."""
    scaled = json.loads(json.dumps(rendered("cloud").of("ScaledObject")[0]))
    scaled["spec"]["triggers"][0]["thresholds"] = "1"
    with pytest.raises(jsonschema.ValidationError, match="thresholds"):
        jsonschema.validate(scaled, SCHEMAS["ScaledObject"])


def test_names_are_unique(release: Rendered) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in release.objects]
    assert len(set(names)) == len(names)


def test_the_chart_has_the_version_of_the_software() -> None:
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def _leaves(values: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> list[str]:
    """Values that the schema does not describe."""
    known = schema.get("properties", {})
    return [
        problem
        for name, value in values.items()
        for problem in (
            [f"{path}{name}"]
            if not known.get(name, {}).get("description")
            else _leaves(value, known[name], f"{path}{name}.")
            if isinstance(value, Mapping) and "properties" in known[name]
            else []
        )
    ]


def test_the_schema_describes_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = YAML(typ="safe").load(CHART / "values.yaml")
    assert _leaves(values, schema) == []
    jsonschema.validate(values, schema)


def test_every_image_may_be_set_by_digest() -> None:
    digest = "sha256:" + "a" * 64
    names = ("bundle", "gateway", "preprocess", "cnn", "rnn", "dicomNode", "redis")
    pinned = rendered("cpu", *(f'{name}.image.digest="{digest}"' for name in names))
    for workload in pinned.workloads():
        assert all(each["image"].endswith(f"@{digest}") for each in workload.containers()), workload.name


def test_an_upgrade_replaces_only_pods_that_differ(release: Rendered) -> None:
    """A label with the version would restart Redis and the DICOM node with each chart."""
    for workload in release.workloads():
        if workload.kind != "Pod":
            assert set(workload.labels) == {
                "app.kubernetes.io/name",
                "app.kubernetes.io/instance",
                "app.kubernetes.io/component",
            }
