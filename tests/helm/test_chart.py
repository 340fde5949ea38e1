"""The chart's objects: valid by the schemas of Kubernetes and of the CRDs, and consistent with each other and the code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from services.common.version import VERSION
from tests.helm.chart import CHART, VALUE_SETS, Object, Rendered, Workload, rendered, run_helm, selects, values_file
from tests.reference import SETTINGS
from tests.running import ROOT

pytestmark = pytest.mark.helm

KUBERNETES: Final = "1.33"
SCHEMAS: Final = {path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("schemas").glob("*.json")}
COMPOSE_NAMES: Final = {"worker-urgent": "worker-urgent", "dicom-node": "dicom-node"}


@pytest.fixture(params=VALUE_SETS)
def release(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


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


# -- settings ----------------------------------------------------------------------------------------------------------

PREFIXES: Final = {
    **{name: ("gateway", "ICH_GATEWAY_") for name in ("gateway", "worker", "worker-urgent")},
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


# -- hardening, as in Compose ------------------------------------------------------------------------------------------


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
        assert volumes["tmp"]["emptyDir"]["medium"] == "Memory", workload.name
        assert all("sizeLimit" in volume["emptyDir"] for volume in volumes.values() if "emptyDir" in volume)
        for container in workload.containers():
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert set(mounts) <= set(volumes) | claims, workload.name
            assert "tmp" in mounts or container["name"] in ("bundle", "sample"), workload.name


def test_limits_are_those_of_compose() -> None:
    """Of memory and of processor time. `ci/cpu.yaml` sets others for a small host."""
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    for workload in rendered("hospital", "redis.enabled=true", 'redis.external={"url":"","existingSecret":""}').workloads():
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
            paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
            readiness = "/livez" if workload.component == "gateway" else "/readyz"
            assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": readiness}, workload.name


# -- objects that name each other --------------------------------------------------------------------------------------


def test_every_service_selects_one_kind_of_pods_and_a_port_of_theirs(release: Rendered) -> None:
    for service in release.of("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (found,) = (each for each in release.workloads() if selects(selector, each.labels))
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= found.ports(), service["metadata"]["name"]


def test_addresses_in_settings_are_services(release: Rendered) -> None:
    ports = {each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]} for each in release.of("Service")}
    for workload in release.workloads():
        for name, value in workload.environment().items():
            if value.startswith(("http://ich-", "redis://ich-")):
                host, _, port = value.partition("://")[2].partition("/")[0].partition(":")
                assert int(port) in ports[host], (workload.name, name)


def test_every_controller_selects_its_own_pods_only(release: Rendered) -> None:
    for workload in release.workloads():
        if workload.kind != "Pod":
            selector = workload.object["spec"]["selector"]
            assert [each.name for each in release.workloads() if selects(selector, each.labels)] == [workload.name]


def test_every_disruption_budget_protects_one_kind_of_pods(release: Rendered) -> None:
    protected = []
    for budget in release.of("PodDisruptionBudget"):
        (found,) = (each for each in release.workloads() if selects(budget["spec"]["selector"], each.labels))
        protected.append(found.name)
    assert sorted(protected) == sorted(each.name for each in release.workloads() if each.kind != "Pod")


def test_secrets_and_claims_that_pods_mount_exist_or_are_named_by_values(release: Rendered) -> None:
    ours = {each["metadata"]["name"] for each in release.of("Secret", "PersistentVolumeClaim")}
    text = "".join(values_file(name).read_text() for name in VALUE_SETS)
    for workload in release.workloads():
        for volume in workload.spec["volumes"]:
            name = volume.get("secret", {}).get("secretName") or volume.get("persistentVolumeClaim", {}).get("claimName")
            assert name is None or name in ours or f": {name}\n" in text or f": {name}}}" in text, name


def test_routes_lead_to_the_gateway() -> None:
    (ingress,) = rendered("cloud").of("Ingress")
    assert ingress["spec"]["tls"] == [{"secretName": "ich-tls", "hosts": ["ich.example.org"]}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "ich-gateway", "port": {"name": "http"}}
    hospital = rendered("hospital")
    (route,), (gateway,) = hospital.of("HTTPRoute"), hospital.of("Gateway")
    assert route["spec"]["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "ich-gateway", "port": 8000}]
    assert [each["hostname"] for each in gateway["spec"]["listeners"]] == route["spec"]["hostnames"]
    assert all(each["protocol"] == "HTTPS" for each in gateway["spec"]["listeners"])


def test_the_service_monitor_finds_every_service_with_metrics() -> None:
    release = rendered("hospital")
    (monitor,) = release.of("ServiceMonitor")
    found = {
        port["targetPort"]: each["spec"]["selector"]["app.kubernetes.io/component"]
        for each in release.of("Service")
        if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
        for port in each["spec"]["ports"]
        if port["name"] == monitor["spec"]["endpoints"][0]["port"]
    }
    assert set(found) == {"http"}
    components = {
        each["spec"]["selector"]["app.kubernetes.io/component"]
        for each in release.of("Service")
        if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
    }
    assert components == {"gateway", "preprocess", "cnn", "rnn", "dicom-node"}


# -- who reaches whom --------------------------------------------------------------------------------------------------


def _callers(release: Rendered, callee: str, port: str) -> set[str]:
    """Components whose pods the policies let call a port: of both sides, the callee's ingress and the caller's egress."""
    target = release.workload(callee)
    return {
        caller.component
        for caller in release.workloads()
        if _allowed(release, target, caller, port, "ingress") and _allowed(release, caller, target, port, "egress")
    }


def _allowed(release: Rendered, subject: Workload, peer: Workload, port: str, direction: str) -> bool:
    side = "from" if direction == "ingress" else "to"
    for policy in release.of("NetworkPolicy"):
        spec = policy["spec"]
        if selects(spec["podSelector"], subject.labels) and direction.capitalize() in spec["policyTypes"]:
            for rule in spec.get(direction) or ():
                peers = any(selects(each["podSelector"], peer.labels) for each in rule[side] if "podSelector" in each)
                if peers and port in {each["port"] for each in rule["ports"]}:
                    return True
    return False


def test_nothing_is_allowed_by_default(release: Rendered) -> None:
    default = release.one("NetworkPolicy", "ich-default")["spec"]
    assert default["policyTypes"] == ["Ingress", "Egress"]
    assert all(selects(default["podSelector"], workload.labels) for workload in release.workloads())
    assert "ingress" not in default
    ports = {port["port"] for rule in default["egress"][:1] for port in rule["ports"]}
    assert ports == {53}


def test_stages_and_redis_are_reached_by_gateways_and_workers_only() -> None:
    inner = {"gateway", "worker", "worker-urgent"}
    release = rendered("cloud")
    for stage in ("preprocess", "cnn", "rnn"):
        assert _callers(release, stage, "http") == inner
    assert _callers(release, "redis", "redis") == inner


def test_the_gateway_is_reached_by_the_dicom_node_the_test_and_clients() -> None:
    release = rendered("hospital")
    assert _callers(release, "gateway", "http") == {"dicom-node", "test"}
    (ingress,) = release.one("NetworkPolicy", "ich-gateway")["spec"]["ingress"]
    assert {"ipBlock": {"cidr": "10.42.0.0/16"}} in ingress["from"]


def test_the_dicom_port_is_reached_from_named_networks_only() -> None:
    release = rendered("hospital")
    dicom, http = release.one("NetworkPolicy", "ich-dicom-node")["spec"]["ingress"]
    assert dicom == {
        "from": [{"ipBlock": {"cidr": "10.20.0.0/16"}}, {"ipBlock": {"cidr": "10.30.1.5/32"}}],
        "ports": [{"port": "dicom", "protocol": "TCP"}],
    }
    assert http["ports"] == [{"port": "http", "protocol": "TCP"}]
    service = release.one("Service", "ich-dicom-node-dicom")["spec"]
    assert service["loadBalancerSourceRanges"] == ["10.20.0.0/16", "10.30.1.5/32"]
    assert service["externalTrafficPolicy"] == "Local"


def test_ports_of_policies_are_ports_of_the_selected_pods(release: Rendered) -> None:
    for policy in release.of("NetworkPolicy"):
        selected = [each for each in release.workloads() if selects(policy["spec"]["podSelector"], each.labels)]
        optional = policy["metadata"]["name"] == "ich-to-gateway"
        assert selected or optional, policy["metadata"]["name"]
        for rule in policy["spec"].get("ingress") or ():
            for port in rule["ports"]:
                assert any(port["port"] in each.ports() for each in selected), policy["metadata"]["name"]


# -- storage, GPU, scaling ---------------------------------------------------------------------------------------------


def test_workers_share_the_gateways_volume_on_its_node() -> None:
    release = rendered("cpu")
    for name in ("gateway", "worker", "worker-urgent"):
        assert release.workload(name).environment()["ICH_GATEWAY_JOBS_DIR"] == "/jobs/jobs"
    for name in ("worker", "worker-urgent"):
        (term,) = release.workload(name).spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert selects(term["labelSelector"], release.workload("gateway").labels)
    shared = rendered("cpu", 'jobs.persistence.accessModes=["ReadWriteMany"]')
    assert "affinity" not in shared.workload("worker").spec
    assert release.one("PersistentVolumeClaim", "ich-jobs")["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep"
    }


def test_with_an_object_storage_pods_keep_no_jobs() -> None:
    for name in ("gateway", "worker", "worker-urgent"):
        workload = rendered("cloud").workload(name)
        assert workload.environment()["ICH_GATEWAY_JOBS_URL"] == "s3://ich-jobs/prod"
        assert workload.environment()["AWS_REGION"] == "eu-central-1"
        assert workload.spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "ich-object-storage"}}]
        assert "affinity" not in workload.spec
    assert rendered("cloud").of("PersistentVolumeClaim") == []


def test_cnn_takes_a_gpu_or_openvino() -> None:
    gpu, cpu = (rendered(values).workload("cnn").spec for values in ("cloud", "cpu"))
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert gpu["containers"][0]["image"].startswith("registry.example.org/radiology/ich-cnn-gpu@sha256:")
    assert gpu["runtimeClassName"] == "nvidia"
    assert gpu["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert gpu["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nvidia.com/gpu" not in cpu["containers"][0]["resources"]["limits"]
    assert cpu["containers"][0]["image"] == f"ich-cnn:{VERSION}"
    assert "tolerations" not in cpu
    assert rendered("cpu").workload("cnn").environment()["ICH_CNN_DEVICE"] == "cpu"


def test_keda_alone_sets_the_replicas_of_what_it_scales() -> None:
    release = rendered("cloud")
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in release.of("ScaledObject")}
    assert set(scaled) == {"ich-worker", "ich-worker-urgent", "ich-cnn"}
    for workload in release.workloads():
        if workload.kind == "Deployment":
            assert ("replicas" in workload.object["spec"]) == (workload.name not in scaled), workload.name
    assert all(spec["fallback"]["replicas"] >= 1 for spec in scaled.values())


def test_open_jobs_wake_workers_and_cnn() -> None:
    """A job without a plan has no series in the queue yet: it must start a worker, which plans it."""
    for each in rendered("cloud").of("ScaledObject"):
        queries = {trigger["name"]: trigger["metadata"]["query"] for trigger in each["spec"]["triggers"]}
        assert "ich_jobs_open" in queries["jobs"], each["metadata"]["name"]
        assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in each["spec"]["triggers"])


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


def test_every_image_may_be_set_by_digest(release: Rendered) -> None:
    digest = "sha256:" + "a" * 64
    names = ("bundle", "gateway", "preprocess", "cnn", "rnn", "dicomNode", "redis")
    pinned = rendered("cpu", *(f'{name}.image.digest="{digest}"' for name in names))
    for workload in pinned.workloads():
        assert all(each["image"].endswith(f"@{digest}") for each in workload.containers()), workload.name


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
