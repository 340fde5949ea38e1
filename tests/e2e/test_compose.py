"""The containers of Compose: same reports, minimal images, recovery. `COMPOSE` holds the command."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dicom_node.receive.dimse_sender import associate, send
from tests.e2e.containers import ENGINE, Containers, run
from tests.running import Service

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3000)]

SERVICES = ("gateway", "preprocess", "cnn", "rnn", "dicom_node")
ENGINES = 1e-4  # probabilities of two engines differ by less


def _predict(url: str, folder: Path) -> dict[str, Any]:
    files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.glob("*.dcm"))]
    answer = httpx.post(f"{url}/v1/predictions", files=files, timeout=120)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_containers_and_plain_services_give_the_same_report(
    containers: Containers, service: Service, samples: Path
) -> None:
    inside, outside = (_predict(url, samples / "series") for url in (containers.url, service.url))
    assert inside["series"]["probabilities"] == pytest.approx(outside["series"]["probabilities"], abs=ENGINES)
    for left, right in zip(inside["slices"], outside["slices"], strict=True):
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=ENGINES)


def test_a_worker_container_assesses_a_job(containers: Containers, samples: Path) -> None:
    files = [("files", (path.name, path.read_bytes())) for path in sorted((samples / "series").glob("*.dcm"))]
    accepted = httpx.post(f"{containers.url}/v1/jobs", files=files, timeout=120)
    assert accepted.status_code == 202, accepted.text
    address, deadline = containers.url + accepted.headers["location"], time.monotonic() + 120
    while not httpx.get(address).json()["ended"]:
        assert time.monotonic() < deadline, containers.compose("logs")[-4000:]
        time.sleep(0.3)
    (report,) = httpx.get(f"{address}/reports").json()["reports"]
    synchronous = _predict(containers.url, samples / "series")
    assert report["series"]["probabilities"] == pytest.approx(synchronous["series"]["probabilities"], abs=1e-6)
    assert containers.inside("worker", "ls", "/jobs/jobs/anybody").stdout.split() == [accepted.json()["id"]]


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_not_root_and_holds_one_service(containers: Containers, service: str) -> None:
    assert containers.inside(service, "id", "-u").stdout.strip() == "10001"
    found = containers.inside(service, "ls", "/app/services").stdout.split()
    assert set(found) == {"__init__.py", "__pycache__", "common", service}
    assert containers.inside(service, "touch", "/app/x").returncode != 0
    assert containers.inside(service, "python", "-m", "pip", "--version").returncode != 0


@pytest.mark.parametrize(
    ("service", "packages"),
    [
        ("gateway", ["numpy", "PIL", "pydicom", "tensorflow"]),
        ("preprocess", ["tensorflow", "httpx"]),
        ("cnn", ["pydicom", "PIL", "httpx"]),
        ("rnn", ["pydicom", "PIL", "httpx"]),
        ("dicom_node", ["tensorflow", "gdcm", "redis"]),
    ],
)
def test_an_image_has_no_packages_of_other_services(containers: Containers, service: str, packages: list[str]) -> None:
    for package in packages:
        assert containers.inside(service, "python", "-c", f"import {package}").returncode == 1, package


@pytest.mark.usefixtures("containers")
def test_only_proxy_and_dicom_node_are_published_on_this_machine() -> None:
    lines = run([ENGINE, "ps", "--format", "{{.Names}} {{.Ports}}"]).splitlines()
    node, proxy = sorted(line for line in lines if "->" in line)
    assert "dicom-node" in node
    assert "proxy" in proxy
    for published in (node, proxy):
        assert published.count("->") == published.count("127.0.0.1:") == 2


def test_the_dicom_node_reaches_the_gateway_and_answers_an_echo(containers: Containers) -> None:
    status = httpx.get(f"{containers.node_url}/v1/status").raise_for_status().json()
    assert status["gateway"] == {"ready": True, "detail": None}
    association = associate(containers.dicom_port)
    assert association.send_c_echo().Status == 0
    association.release()
    shown = containers.inside("dicom_node", "python", "-m", "services.dicom_node", "status")
    assert "no destination is set" in shown.stdout


def test_the_dicom_node_builds_the_results_of_a_stored_series(containers: Containers, samples: Path) -> None:
    association = associate(containers.dicom_port)
    files = [path.read_bytes() for path in sorted((samples / "series").glob("*.dcm"))]
    assert set(send(association, files)) == {0}
    association.release()
    deadline = time.monotonic() + 120
    while not (status := httpx.get(f"{containers.node_url}/v1/status").json())["built"]:
        assert time.monotonic() < deadline, status
        time.sleep(0.5)
    assert set(status["built"]) == {"sr", "text_sr", "secondary_capture", "segmentation", "key_objects"}
    assert status["failed_kinds"] == {}


@pytest.mark.parametrize("name", [*SERVICES, "redis", "worker", "proxy"])
def test_a_killed_container_restarts(containers: Containers, samples: Path, name: str) -> None:
    killed = containers.process(name)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not _restarted(containers, name, killed):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    print(f"\n{name} killed: ready {containers.wait_until_ready(90):.1f} s after its restart")
    assert _predict(containers.url, samples / "series")["status"] == "assessed"


def _restarted(containers: Containers, name: str, killed: int) -> bool:
    try:
        return containers.process(name) not in (0, killed)
    except (AssertionError, StopIteration):
        return False
