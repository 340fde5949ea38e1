"""Who reaches whom, by the NetworkPolicies."""

import pytest

from tests.helm.chart import Rendered, Workload, rendered, selects

pytestmark = pytest.mark.helm


def _callers(release: Rendered, callee: str, port: str) -> set[str]:
    """Components whose pods may call a port, by the ingress of the callee and the egress of the caller."""
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
