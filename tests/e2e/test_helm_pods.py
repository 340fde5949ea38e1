"""The pods of the Helm chart, run with podman: they start as Kubernetes starts them, and cnn starts from zero."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.dicom_node.receive.certificates import Authority, client_context, make_authority
from tests.dicom_node.receive.dimse_sender import associate, send
from tests.helm.chart import rendered
from tests.helm.pods import Pods, ending, network, podman
from tests.object_storage import running_object_server

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]
IMAGES: Final = {
    "gateway": ("SERVICE=gateway",),
    "preprocess": ("SERVICE=preprocess",),
    "cnn": ("SERVICE=cnn", "GROUP=openvino"),
    "rnn": ("SERVICE=rnn", "GROUP=openvino"),
    "dicom-node": ("SERVICE=dicom_node", "GROUP=dicom-node"),
}
BUILD: Final = ("build", "--quiet", "--isolation=chroot", "--network=host", "--file", "services/Dockerfile")
OURS: Final = ('image.registry="localhost"', 'image.tag="helm"', "drainSeconds=1")
KEY: Final = "a-key-of-tests-alone"
SITE: Final = {"senders": f"radiology {KEY}\n", "patient-key": "p" * 64, "audit-key": "a" * 64}
GROUP: Final = (
    "gateway.replicas=2",
    'jobs.existingSecret="storage"',
    'gateway.siteSecret="site"',
    'gateway.settings={"SENDERS_FILE":"/site/senders","PATIENT_KEY_FILE":"/site/patient-key",'
    '"AUDIT_KEY_FILE":"/site/audit-key"}',
    'test.keySecret="key"',
    "networkPolicy.enabled=false",
    'dicomNode={"enabled":true,"siteSecret":"key","tlsSecret":"tls","allowedCidrs":["10.0.0.0/8"]}',
    'dicomNode.settings={"CALLING_AE_TITLES":["CT1"],"GATEWAY_KEY_FILE":"/site/key","QUIET_S":1}',
)
ORDER: Final = ("redis", "preprocess", "cnn", "rnn", "gateway", "worker")
START_S: Final = 120
LOCAL: Final = {"host": "127.0.0.1:8000"}  # as through `kubectl port-forward`


@pytest.fixture(scope="module")
def images() -> None:
    """Those of Compose, from its layers, and that of the bundle."""
    for name, arguments in IMAGES.items():
        options = [word for argument in arguments for word in ("--build-arg", argument)]
        podman(*BUILD, *options, "--tag", f"localhost/ich-{name}:helm", ".")
    podman(*BUILD, "--target", "bundle", "--tag", "localhost/ich-bundle:helm", ".")


@pytest.fixture(scope="module")
def pods(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:  # noqa: ARG001
    """The value set of one host without a GPU."""
    name = f"ich-helm-{os.getpid()}"
    with network(name), ending(Pods(rendered("cpu", *OURS), name, tmp_path_factory.mktemp("volumes"))) as running:
        for component in ORDER:
            running.start(component)
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates") / "site")


def _tls(authority: Authority) -> dict[str, str]:
    certificate, key = authority.issue("node")
    return {"tls.crt": certificate.read_text(), "tls.key": key.read_text(), "ca.crt": authority.path.read_text()}


@pytest.fixture(scope="module")
def group(
    images: None,  # noqa: ARG001
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pods]:
    """Two gateways with API keys on an object storage, and a DICOM node with TLS."""
    name, folder = f"ich-helm-{os.getpid()}-group", tmp_path_factory.mktemp("group")
    with network(name) as address, running_object_server(folder, "-ip.bind=0.0.0.0") as server:
        found = dict(server.environment)
        credentials = {each: found.pop(each) for each in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        environment = found | {"AWS_ENDPOINT_URL": server.endpoint.replace("127.0.0.1", address)}
        values = [f'jobs.url="{server.new_url()}"', f"jobs.env={json.dumps(environment)}", *GROUP]
        secrets = {"storage": credentials, "site": SITE, "key": {"key": KEY}, "tls": _tls(authority)}
        with ending(Pods(rendered("cpu", *OURS, *values), name, folder / "volumes", secrets)) as running:
            for component in ORDER:
                running.start(component)
            running.start("gateway", 1)
            running.start("dicom-node")
            yield running


def _wait(pods: Pods, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not done():
        assert time.monotonic() < deadline, pods.logs()
        time.sleep(0.3)


def _ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def _metrics(url: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=10).text)
    return {(each.name, *sorted(each.labels.values())): each.value for family in families for each in family.samples}


def test_the_test_of_the_chart_passes(pods: Pods) -> None:
    """`helm test`: the sample as a job, through gateway, Redis, worker and volume, and as a prediction."""
    _wait(pods, lambda: _ok(f"{pods.address('gateway')}/readyz"))
    report = pods.run("test")
    assert "assessed: 28 slices" in report
    assert "research" in report.lower()


def test_a_job_waits_for_a_cnn_without_pods_and_wakes_it(pods: Pods, samples: Path) -> None:
    """KEDA's part is played here: it starts cnn where `ich_jobs_open` or the predictions' counter is above 0."""
    gateway = pods.address("gateway")
    _wait(pods, lambda: _ok(f"{gateway}/readyz"))
    files = [("files", (path.name, path.read_bytes())) for path in sorted((samples / "series").glob("*.dcm"))]
    pods.stop("cnn")
    assert not _ok(f"{gateway}/readyz")
    assert _ok(f"{gateway}/livez"), "the readiness probe of the chart"

    before = _metrics(gateway)
    refused = httpx.post(f"{gateway}/v1/predictions", files=files, headers=LOCAL, timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (502, "stage_failed"), refused.text
    assert int(refused.headers["retry-after"]) > 0
    counter = ("ich_requests_total", *sorted(("POST", "/v1/predictions", "502")))
    assert _metrics(gateway)[counter] == before[counter] + 1

    accepted = httpx.post(f"{gateway}/v1/jobs", files=files, headers=LOCAL, timeout=60)
    assert accepted.status_code == 202, accepted.text
    _wait(pods, lambda: _metrics(gateway)["ich_jobs_open", "routine"] == 1)
    pods.start("cnn")
    job: dict[str, Any] = {}

    def ended() -> bool:
        job.update(httpx.get(gateway + accepted.headers["location"], headers=LOCAL, timeout=10).json())
        return bool(job["ended"])

    _wait(pods, ended)
    assert job["status"] == "finished", job
    _wait(pods, lambda: _metrics(gateway)["ich_jobs_open", "routine"] == 0)


def test_gateways_on_an_object_storage_share_jobs(group: Pods, samples: Path) -> None:
    """With keys and credentials from Secrets: a job of one gateway has its reports at the other."""
    first, second = (group.address("gateway", replica) for replica in (0, 1))
    _wait(group, lambda: _ok(f"{first}/readyz") and _ok(f"{second}/readyz"))
    headers = LOCAL | {"authorization": f"Bearer {KEY}"}
    files = [("files", (path.name, path.read_bytes())) for path in sorted((samples / "series").glob("*.dcm"))]
    assert httpx.post(f"{first}/v1/jobs", files=files, headers=LOCAL, timeout=60).status_code == 401
    accepted = httpx.post(f"{first}/v1/jobs", files=files, headers=headers, timeout=60)
    assert accepted.status_code == 202, accepted.text
    job = second + accepted.headers["location"]
    _wait(group, lambda: bool(httpx.get(job, headers=headers, timeout=10).json()["ended"]))
    (report,) = httpx.get(f"{job}/reports", headers=headers, timeout=10).json()["reports"]
    assert report["status"] == "assessed"
    assert "assessed: 28 slices" in group.run("test"), "helm test, with its key, through both gateways"


def test_the_dicom_node_takes_a_series_by_tls_and_builds_its_results(
    group: Pods, authority: Authority, samples: Path
) -> None:
    node = group.address("dicom-node")
    _wait(group, lambda: _ok(f"{node}/readyz"))
    context = client_context(authority, authority)
    context.check_hostname = False  # the certificate has the names of this machine
    association = associate(11112, tls=context, host=group.host("dicom-node"))
    assert association.is_established
    files = [path.read_bytes() for path in sorted((samples / "series").glob("*.dcm"))]
    assert set(send(association, files)) == {0}
    association.release()
    _wait(group, lambda: "sr" in httpx.get(f"{node}/v1/status", headers=LOCAL, timeout=10).json()["built"])
