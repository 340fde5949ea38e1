"""Objects that name each other agree: selectors, ports, addresses, Secrets, claims."""

import re

import pytest

from tests.helm.chart import VALUE_SETS, Rendered, rendered, selects, values_file

pytestmark = pytest.mark.helm


def test_every_service_selects_one_kind_of_pods_and_a_port_of_theirs(release: Rendered) -> None:
    for service in release.of("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (found,) = (each for each in release.workloads() if selects(selector, each.labels))
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= found.ports(), service["metadata"]["name"]


def test_addresses_in_settings_are_services(release: Rendered) -> None:
    ports = {
        each["metadata"]["name"]: {port["port"] for port in each["spec"]["ports"]} for each in release.of("Service")
    }
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
            name = volume.get("secret", {}).get("secretName") or volume.get("persistentVolumeClaim", {}).get(
                "claimName"
            )
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


def test_names_and_labels_fit_kubernetes_limits() -> None:
    """With the longest name of a release: names and labels are DNS labels of 63 characters, port names have 15."""
    label = re.compile(r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
    release = rendered("hospital", f'fullnameOverride="{"x" * 40}"', f'nameOverride="{"n" * 40}"')
    for each in release.objects:
        metadata = each["metadata"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"]), metadata["name"]
        assert all(label.fullmatch(value) for value in metadata.get("labels", {}).values()), metadata
    for workload in release.workloads():
        if workload.kind == "StatefulSet":
            assert len(f"{workload.name}-{'0' * 10}") <= 63, "the label of its revision"
        assert all(len(port) <= 15 for port in workload.ports() if isinstance(port, str))
