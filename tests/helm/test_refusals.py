"""Wrong values are refused before anything is installed, with the value's name and the remedy."""

import pytest

from tests.helm.chart import refused, rendered

pytestmark = pytest.mark.helm


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ("cpu", ["gateways={}"], "gateways"),
        ("cpu", ["gateway.replica=2"], "replica"),
        ("cpu", ['gateway.settings={"ICH_GATEWAY_JOB_TTL_S":1}'], "ICH_GATEWAY_JOB_TTL_S"),
        ("cpu", ['gateway.replicas="two"'], "/gateway/replicas"),
        ("cpu", ['env={"ICH_CNN_ENGINE":"openvino"}'], "ICH_CNN_ENGINE"),
        ("cpu", ['jobs.url="s3://key:secret@bucket/ich"'], "/jobs/url"),
        ("cpu", ['redis.external.url="redis://:secret@host:6379/0"'], "/redis/external/url"),
        ("hospital", ["dicomNode.replicas=2"], "/dicomNode/replicas"),
        ("hospital", ['dicomNode.allowedCidrs=["10.20.0.0"]'], "/dicomNode/allowedCidrs"),
        ("cloud", ['cnn.image.digest="latest"'], "/cnn/image/digest"),
        ("cloud", ["keda.cnn.minReplica=1"], "minReplica"),
    ],
)
def test_the_schema_refuses_typos_and_wrong_values(values: str, settings: list[str], message: str) -> None:
    assert message in refused(values, *settings)


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ("cpu", ["gateway.replicas=2"], "several gateways need an object storage: set jobs.url"),
        ("cpu", ['gateway.settings={"SHARED_MEMORY_DIR":"/dev/shm"}'], "pods share no memory"),
        ("cpu", ['gateway.settings={"JOBS_URL":"s3://x"}'], "set jobs.url"),
        ("cpu", ['cnn.settings={"DEVICE":"gpu"}'], "set cnn.gpu.enabled"),
        ("cpu", ['gateway.service={"type":"LoadBalancer"}'], "nobody must say who they are"),
        ("cpu", ['cnn.settings={"BUNDLE":"/x"}'], "set bundle.image or bundle.existingClaim"),
        (
            "hospital",
            ['gateway.service={"type":"NodePort"}', "networkPolicy.clients=[]"],
            "networkPolicy.clients is empty",
        ),
        ("hospital", ['dicomNode.settings.DICOM_HOST="::"'], "dicomNode.settings.DICOM_HOST must not be set"),
        ("cpu", ["ingress.enabled=true"], "nobody must say who they are"),
        ("cpu", ["redis.enabled=false"], "set redis.external.url"),
        ("cpu", ['redis.external.url="redis://redis:6379/0"'], "set redis.enabled=false"),
        ("cpu", ["keda.enabled=true"], "set monitoring.serviceMonitor.enabled"),
        ("cloud", ["keda.cnn.minReplicas=9"], "more than maxReplicas"),
        ("cloud", ["ingress.hosts=[]"], "ingress.hosts is empty"),
        ("cloud", ['ingress.tlsSecret=""'], "ingress.tlsSecret is empty"),
        ("cloud", ["networkPolicy.clients=[]"], "networkPolicy.clients is empty"),
        ("cloud", ["networkPolicy.jobsEgress=[]"], "cannot reach them"),
        ("cloud", ["networkPolicy.gatewayEgress=[]"], "OIDC_ISSUER, whose keys the gateway fetches"),
        ("hospital", ["dicomNode.settings.CALLING_AE_TITLES=[]"], "list the AE titles that may send"),
        ("hospital", ["dicomNode.allowedCidrs=[]"], "list the networks of the modalities"),
        ("hospital", ['dicomNode.settings.GATEWAY_KEY_FILE=""'], "the DICOM node's key"),
        ("hospital", ['gatewayApi.gateway={"create":false}'], "gatewayApi.parentRefs is empty"),
        ("hospital", ['gatewayApi.gateway.className=""'], "gatewayApi.gateway.className"),
    ],
)
def test_a_combination_is_refused_with_its_remedy(values: str, settings: list[str], message: str) -> None:
    assert message in refused(values, *settings)


def test_several_gateways_with_an_object_storage_are_accepted() -> None:
    egress = 'networkPolicy.jobsEgress=[{"to":[{"ipBlock":{"cidr":"10.0.0.9/32"}}],"ports":[{"port":443}]}]'
    release = rendered("cpu", "gateway.replicas=2", 'jobs.url="s3://bucket/ich"', egress)
    assert release.workload("gateway").object["spec"]["replicas"] == 2
