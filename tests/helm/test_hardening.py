"""Pods are as hardened and as limited as the containers of Compose, and end in order."""

import json

import pytest
from ruamel.yaml import YAML

from tests.helm.chart import Object, Rendered, rendered
from tests.running import ROOT

pytestmark = pytest.mark.helm


def test_every_pod_is_hardened(release: Rendered) -> None:
    for workload in release.workloads():
        spec = workload.spec
        user = 999 if workload.component == "redis" else 10001
        pod = spec["securityContext"]
        assert (pod["runAsNonRoot"], pod["runAsUser"], pod["fsGroup"]) == (True, user, user), workload.name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, workload.name
        assert spec["automountServiceAccountToken"] is False, workload.name
        for container in workload.containers():
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (workload.name, container["name"])
            assert set(container["resources"]) == {"requests", "limits"}, (workload.name, container["name"])


def test_temporary_files_are_in_memory_with_a_limit(release: Rendered) -> None:
    for workload in release.workloads():
        volumes = {volume["name"]: volume for volume in workload.spec["volumes"]}
        claims = {each["metadata"]["name"] for each in workload.claims()}
        assert volumes["tmp"]["emptyDir"]["medium"] == "Memory", workload.name
        assert all("sizeLimit" in volume["emptyDir"] for volume in volumes.values() if "emptyDir" in volume)
        for container in workload.containers():
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert set(mounts) <= set(volumes) | claims, workload.name
            assert "tmp" in mounts or container["name"] in ("bundle", "sample"), workload.name


def test_limits_are_those_of_compose() -> None:
    """Of memory and of processor time. `ci/cpu.yaml` sets others for a small host."""
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    for workload in rendered(
        "hospital", "redis.enabled=true", 'redis.external={"url":"","existingSecret":""}'
    ).workloads():
        if workload.kind != "Pod":
            limits = workload.spec["containers"][0]["resources"]["limits"]
            theirs = compose[workload.component]
            assert limits["memory"].removesuffix("i").lower() == theirs["mem_limit"], workload.name
            assert float(limits["cpu"]) == theirs["cpu_quota"] / 1e5, workload.name


def test_a_pod_has_time_to_end(release: Rendered) -> None:
    """The drain, 55 s for requests in progress (UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN of the images), and some seconds."""
    for workload in release.workloads():
        drain = next((value for name, value in workload.environment().items() if name.endswith("_DRAIN_S")), None)
        if drain is not None:
            assert workload.spec["terminationGracePeriodSeconds"] >= float(drain) + 55 + 5, workload.name


def test_probes_ask_routes_that_need_no_host_and_no_key(release: Rendered) -> None:
    for workload in release.workloads():
        if "http" in workload.ports():
            (container,) = workload.spec["containers"]
            paths = {
                name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
            }
            readiness = "/livez" if workload.component == "gateway" else "/readyz"
            assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": readiness}, workload.name


def test_the_test_sends_the_sample_with_its_key() -> None:
    pod = rendered("cloud").workload("test").spec
    job = next(each for each in pod["initContainers"] if each["name"] == "job")["command"]
    prediction = pod["containers"][0]["command"]
    for command in (job, prediction):
        assert command[-2:] == ["--key-file", "/key/key"]
        assert "http://ich-gateway:8000" in command
    assert "--key-file" not in rendered("cpu").workload("test").spec["containers"][0]["command"]


def test_a_password_of_redis_is_in_no_command_and_no_variable(release: Rendered) -> None:
    for secret in release.of("Secret"):
        password = secret["data"]["password"]
        others: list[Object] = [each for each in release.objects if each is not secret]
        assert password not in json.dumps(others)
