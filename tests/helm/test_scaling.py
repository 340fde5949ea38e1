"""Storage, GPUs, and what KEDA scales."""

import pytest

from services.common.version import VERSION
from tests.helm.chart import rendered, selects

pytestmark = pytest.mark.helm


def test_workers_share_the_gateways_volume_on_its_node() -> None:
    release = rendered("cpu")
    for name in ("gateway", "worker", "worker-urgent"):
        assert release.workload(name).environment()["ICH_GATEWAY_JOBS_DIR"] == "/jobs/jobs"
    for name in ("worker", "worker-urgent"):
        (term,) = release.workload(name).spec["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert selects(term["labelSelector"], release.workload("gateway").labels)
    preferred = '{"podAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]},"nodeAffinity":{}}'
    placed = rendered("cpu", f"worker.affinity={preferred}").workload("worker").spec["affinity"]
    assert set(placed) == {"podAffinity", "nodeAffinity"}
    assert len(placed["podAffinity"]) == 2, "the site's rule and ours"
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
    for spec in scaled.values():
        assert spec["fallback"]["replicas"] >= 1
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher", "a silent Prometheus stops no replica"


def test_open_jobs_wake_workers_and_cnn() -> None:
    """A job without a plan has no series in the queue yet: it must start a worker, which plans it."""
    for each in rendered("cloud").of("ScaledObject"):
        queries = {trigger["name"]: trigger["metadata"]["query"] for trigger in each["spec"]["triggers"]}
        assert "ich_jobs_open" in queries["jobs"], each["metadata"]["name"]
        assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in each["spec"]["triggers"])
