"""The services accept their environment, and settings reach them unchanged."""

import json
from typing import Final

import pytest

from tests.helm.chart import Rendered, rendered
from tests.reference import SETTINGS

pytestmark = pytest.mark.helm

PREFIXES: Final = {
    **dict.fromkeys(("gateway", "worker", "worker-urgent"), ("gateway", "ICH_GATEWAY_")),
    **{name: (name, f"ICH_{name.upper()}_") for name in ("preprocess", "cnn", "rnn")},
    "dicom-node": ("dicom_node", "ICH_NODE_"),
}


def test_every_service_starts_with_its_environment(release: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the settings classes themselves: an unknown name, a wrong type or an unsafe combination stops the start."""
    for workload in release.workloads():
        if workload.component in PREFIXES:
            service, prefix = PREFIXES[workload.component]
            environment = workload.environment()
            with monkeypatch.context() as context:
                for name, value in environment.items():
                    context.setenv(name, value)
                SETTINGS[service].read()
            known = {f"{prefix}{name}".upper() for name in SETTINGS[service].model_fields}
            assert {name for name in environment if name.startswith("ICH_")} <= known


def test_numbers_and_lists_reach_the_services_unchanged() -> None:
    found = rendered("cloud").workload("gateway").environment()
    assert found["ICH_GATEWAY_MAX_UPLOAD_BYTES"] == "2147483648"
    assert found["ICH_GATEWAY_KEEP_BLOOD"] == "true"
    assert json.loads(found["ICH_GATEWAY_PROXIES"]) == ["10.244.0.0/16"]
    assert json.loads(found["ICH_GATEWAY_HOSTS"]) == [
        *("ich-gateway", "ich-gateway.radiology", "ich-gateway.radiology.svc"),
        "ich.example.org",
    ]


def test_no_variable_of_a_service_looks_like_a_setting(release: Rendered) -> None:
    """Kubernetes adds ICH_GATEWAY_PORT for a Service ich-gateway: an unknown setting, which stops the start."""
    assert all(workload.spec["enableServiceLinks"] is False for workload in release.workloads())


def test_gateway_and_workers_share_their_settings(release: Rendered) -> None:
    gateway = release.workload("gateway").environment().items()
    for name in ("worker", "worker-urgent"):
        assert release.workload(name).environment().items() < gateway


def test_pods_share_no_memory(release: Rendered) -> None:
    for workload in release.workloads():
        assert not [name for name in workload.environment() if name.endswith("_SHARED_MEMORY_DIR")]
