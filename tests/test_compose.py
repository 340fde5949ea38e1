"""The Compose files, without a container engine; `make e2e-compose` builds and runs them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from services.dicom_node.peers import read_peers
from services.dicom_node.settings import Settings as NodeSettings
from services.dicom_node.software import SOFTWARE
from services.gateway.settings import Settings

ROOT = Path(__file__).parents[1]
NAMES = (
    *("proxy", "init", "gateway", "worker", "worker-urgent", "preprocess", "cnn", "rnn", "redis", "backup", "train"),
    *("dicom-node", "dicom-node-pacs", "orthanc", "ohif"),
)


def _read(name: str) -> Any:
    return YAML().load(ROOT / name)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _read("docker-compose.yml")["services"]
    return found


def test_every_service_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == set(NAMES)
    for name, service in services.items():
        assert service["read_only"] == (name != "orthanc"), name  # its image moves plugins at each start
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["stop_grace_period"] == "60s", name
        assert service["restart"] == {"train": "no", "backup": "no", "init": "on-failure"}.get(
            name, "unless-stopped"
        ), name


def test_every_service_has_limits_of_memory_processes_and_processor_time(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert name == "train" or re.fullmatch(r"[0-9]+[mg]", service["mem_limit"]), name
        assert service["pids_limit"] >= 32, name
        assert service["cpu_quota"] >= 100_000, name


def test_few_services_are_reached_and_without_a_site_only_from_this_machine(
    services: dict[str, dict[str, Any]],
) -> None:
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"proxy", "dicom-node", "dicom-node-pacs", "orthanc", "ohif"}
    for name in ("orthanc", "ohif"):
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"]), name
    plain, tls = services["proxy"]["ports"]
    assert plain.startswith("127.0.0.1:")
    assert tls.startswith("${ICH_TLS_ADDRESS:-127.0.0.1}:")
    assert services["gateway"]["environment"]["ICH_GATEWAY_PUBLISHED_HOST"] == "${ICH_TLS_ADDRESS:-127.0.0.1}"
    networks = _read("docker-compose.yml")["networks"]
    assert {name for name, service in services.items() if "front" in service.get("networks", ())} == {
        "proxy",
        "gateway",
    }
    assert networks["stages"]["internal"]
    assert networks["queue"]["internal"]
    for stage in ("preprocess", "cnn", "rnn"):
        assert services[stage]["networks"] == ["stages"]


def test_the_dicom_node_is_optional_and_reaches_the_gateway_alone(services: dict[str, dict[str, Any]]) -> None:
    node = services["dicom-node"]
    dicom, http = node["ports"]
    assert dicom == "${ICH_DICOM_ADDRESS:-127.0.0.1}:${ICH_DICOM_PORT:-11112}:11112"
    assert http.startswith("127.0.0.1:")
    assert node["environment"]["ICH_NODE_DICOM_PUBLISHED_HOST"] == "${ICH_DICOM_ADDRESS:-127.0.0.1}"
    assert "dicom" in node["profiles"]
    assert not any(
        "dicom-node" in service.get("depends_on", ()) for service in services.values() if service is not node
    )
    neighbours = {name for name, service in services.items() if "node" in service.get("networks", ())}
    assert neighbours == {"gateway", "dicom-node", "dicom-node-pacs"}
    assert _read("docker-compose.yml")["networks"]["node"]["internal"]
    assert [volume for volume in node["volumes"] if "/site" in volume] == ["${ICH_SITE:-./deploy/site}/node:/site:ro"]


def test_the_node_beside_orthanc_differs_by_its_peers_alone(services: dict[str, dict[str, Any]]) -> None:
    node, beside = services["dicom-node"], services["dicom-node-pacs"]
    assert {key for key in node if node[key] != beside[key]} == {"profiles", "networks", "volumes", "environment"}
    assert dict(beside["environment"].items() - node["environment"].items()) == {
        "ICH_NODE_PEERS_FILE": "/pacs/peers.toml",
        "ICH_NODE_HOSTS": '["dicom-node"]',
    }
    assert beside["networks"]["dicom"]["aliases"] == ["dicom-node"]
    assert [set(services[name]["profiles"]) for name in ("dicom-node-pacs", "orthanc", "ohif")] == [
        {"pacs", "ohif"},
        {"pacs", "ohif"},
        {"ohif"},
    ]


def test_orthanc_and_node_know_each_other(services: dict[str, dict[str, Any]]) -> None:
    folder = ROOT / "deploy" / "orthanc"
    orthanc = json.loads((folder / "orthanc.json").read_text())
    node, peer = orthanc["DicomModalities"]["ich"], read_peers(folder / "peers.toml")["orthanc"]
    (alias,) = services["dicom-node-pacs"]["networks"]["dicom"]["aliases"]
    assert (node["Host"], node["Port"], node["AET"]) == (alias, NodeSettings().dicom_port, NodeSettings().ae_titles[0])
    assert orthanc["DicomWeb"]["Servers"]["ich"]["Url"] == f"http://{alias}:8000/dicom-web/"
    assert (peer.host, peer.port, peer.ae_title) == ("orthanc", orthanc["DicomPort"], orthanc["DicomAet"])
    assert peer.dicom_web_url == f"http://orthanc:{orthanc['HttpPort']}/dicom-web"
    assert node["AllowStorageCommitment"]
    assert peer.commits
    route = (folder / "route.lua").read_text()
    assert f"local OURS = '{SOFTWARE}'" in route
    assert "local NODE = 'ich'" in route


def test_the_gateway_believes_the_address_of_the_proxy_alone(services: dict[str, dict[str, Any]]) -> None:
    proxy, gateway = services["proxy"], services["gateway"]
    address = proxy["networks"]["front"]["ipv4_address"]
    assert gateway["environment"]["ICH_GATEWAY_PROXIES"] == f'["{address}"]'
    assert proxy["extra_hosts"] == [f"gateway:{gateway['networks']['front']['ipv4_address']}"]


def test_the_proxy_finishes_requests_within_the_grace_period(services: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text()
    (seconds,) = re.findall(r"^worker_shutdown_timeout ([0-9]+)s;", text, re.MULTILINE)
    assert int(seconds) < int(services["proxy"]["stop_grace_period"].removesuffix("s"))
    assert services["proxy"]["stop_signal"] == "SIGQUIT"


def test_the_proxy_allows_bodies_as_large_as_the_gateway_does() -> None:
    text = (ROOT / "deploy" / "nginx" / "gateway.conf").read_text()
    found = dict(re.findall(r"location = (\S+) \{\s+client_max_body_size ([0-9]+)m;", text))
    limits = {"/v1/predictions": Settings().max_upload_bytes, "/v1/jobs": Settings().max_job_bytes}
    assert set(found) == set(limits)
    for path, limit in limits.items():
        assert limit < int(found[path]) * 1024**2 < 1.07 * limit, path
        assert f"of {found[path]} MiB to {path}" in text


def test_every_code_of_the_proxy_is_documented() -> None:
    text = (ROOT / "deploy" / "nginx" / "gateway.conf").read_text()
    found = set(re.findall(r'"code":"(\w+)"', text))
    assert found == set(re.findall(r'"type":"urn:ich:problem:(\w+)"', text)) != set()
    reference = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert [code for code in sorted(found) if f"`{code}`" not in reference] == []


def test_base_images_are_variables_that_a_release_sets_to_digests(services: dict[str, dict[str, Any]]) -> None:
    python = _read("docker-compose.yml")["x-base"]["PYTHON_IMAGE"]
    pattern = r"\$\{ICH_[A-Z]+_IMAGE:-docker\.io/(library|orthancteam|ohif)/[a-z]+:v?[0-9.]+(-slim)?\}"
    others = ("proxy", "redis", "orthanc", "ohif")
    assert all(re.fullmatch(pattern, image) for image in (python, *(services[name]["image"] for name in others)))
    for name, service in services.items():
        assert ("build" in service) == (name not in others), name
        assert "build" not in service or service["build"]["args"]["PYTHON_IMAGE"] == python, name
    dockerfile = (ROOT / "services" / "Dockerfile").read_text()
    assert f"ARG PYTHON_IMAGE={python.partition(':-')[2].removesuffix('}')}\n" in dockerfile
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}", "base"}


def test_redis_asks_for_a_password_that_no_command_line_shows(services: dict[str, dict[str, Any]]) -> None:
    redis = services["redis"]
    assert redis["command"][:2] == ["redis-server", "/secrets/redis.conf"]
    assert not {"--requirepass", "--protected-mode"} & set(redis["command"])
    for name in ("gateway", "worker", "worker-urgent"):
        path = services[name]["environment"]["ICH_GATEWAY_REDIS_PASSWORD_FILE"]
        assert path.startswith("/secrets/"), name
        assert "secrets:/secrets:ro" in services[name]["volumes"], name
    assert {name for name, service in services.items() if "secrets:/secrets" in service.get("volumes", ())} == {"init"}


def test_workers_are_the_gateways_image_and_see_the_same_jobs(services: dict[str, dict[str, Any]]) -> None:
    gateway, worker, urgent = (services[name] for name in ("gateway", "worker", "worker-urgent"))
    for one in (worker, urgent):
        assert one["image"] == gateway["image"]
        assert set(one["volumes"]) < set(gateway["volumes"])
        assert set(one["environment"].items()) < set(gateway["environment"].items())
        assert "ports" not in one
        assert "container_name" not in one  # or it could not be scaled
    assert "routine" in worker["command"]
    assert "routine" not in urgent["command"]
    assert "noeviction" in services["redis"]["command"]


def test_the_bundle_is_read_only(services: dict[str, dict[str, Any]]) -> None:
    for name in ("cnn", "rnn"):
        bundle, engines, site = services[name]["volumes"]
        assert engines == "engines:/engines"
        assert bundle.endswith(":/bundle:ro")
        assert site.endswith("/stages:/site:ro")


def test_stages_see_no_api_keys(services: dict[str, dict[str, Any]]) -> None:
    for name in ("preprocess", "cnn", "rnn", "redis", "proxy"):
        assert not any(
            volume.endswith(":/site:ro") and "/stages:" not in volume for volume in services[name]["volumes"]
        )
        assert not any("secrets" in volume for volume in services[name]["volumes"]) or name == "redis"


def test_without_a_gpu_nothing_asks_for_one() -> None:
    overlay = _read("docker-compose.cpu.yml")["services"]
    for name, service in _read("docker-compose.yml")["services"].items():
        if "deploy" in service:
            assert str(overlay[name]["deploy"]["resources"]["reservations"].tag) == "!reset"
    assert overlay["cnn"]["environment"] == {
        "ICH_CNN_DEVICE": "cpu",
        "ICH_CNN_ENGINE": "${ICH_CNN_ENGINE:-auto}",
        "ICH_CNN_MAX_BATCH": "16",
        "ICH_CNN_MAX_DELAY_S": "0",
    }


def test_without_a_gpu_cnn_and_rnn_need_no_tensorflow() -> None:
    overlay = _read("docker-compose.cpu.yml")["services"]
    for name in ("cnn", "rnn"):
        assert overlay[name]["build"]["args"] == {"SERVICE": name, "GROUP": "${ICH_CPU_GROUP:-openvino}"}
    assert (ROOT / "requirements" / "openvino.txt").exists()


def test_images_hold_bytecode_and_run_without_root_rights() -> None:
    """A read-only container writes none, and would compile every module at each start."""
    stages = re.split(r"^FROM ", (ROOT / "services" / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    by_name = {re.match(r"\S+ AS (\w+)", stage)[1]: stage for stage in stages}  # type: ignore[index]
    compiled = {name: re.findall(r"\$COMPILE (?:-x '\S+' )?(\S+)", stage) for name, stage in by_name.items()}
    assert compiled["packages"] == ["/venv/lib"]
    assert len(compiled["base"]) == 1, "the standard library"
    for name in ("training", "service"):
        assert compiled[name] == ["/app"]
        *_, last = re.findall(r"^(?:COPY|RUN|USER) .*", by_name[name], re.MULTILINE)
        assert last == "USER 10001:10001"


def test_the_files_are_valid(tmp_path: Path) -> None:
    """By the schema of the Compose specification, without the tag `!reset`, which no schema knows."""
    from check_jsonschema import main as check  # noqa: PLC0415 - used here alone

    for name in ("docker-compose.yml", "docker-compose.cpu.yml"):
        path = tmp_path / name
        path.write_text((ROOT / name).read_text().replace("!reset null", "{}"))
        with pytest.raises(SystemExit) as ended:
            check(["--builtin-schema", "vendor.compose-spec", str(path)])
        assert ended.value.code == 0


def test_a_backup_sees_whether_jobs_are_in_an_object_storage(services: dict[str, dict[str, Any]]) -> None:
    assert services["backup"]["env_file"] == services["gateway"]["env_file"]


def test_the_documented_file_connects_gateway_and_workers_with_an_object_storage(
    services: dict[str, dict[str, Any]],
) -> None:
    text = (ROOT / "docs/how-to/use-object-storage.md").read_text().partition("```yaml")[2].partition("```")[0]
    added = YAML().load(text)
    users = [name for name in services if services[name].get("image") == "ich-gateway" and name in added["services"]]
    assert sorted(users) == sorted(added["services"]) == ["gateway", "worker", "worker-urgent"]
    assert {network for service in added["services"].values() for network in service["networks"]} == set(
        added["networks"]
    )
