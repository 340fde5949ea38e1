"""The Compose files, without a container engine; `make e2e-compose` builds and runs them."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
NAMES = ("gateway", "worker", "worker-urgent", "preprocess", "cnn", "rnn", "redis", "train")


def _read(name: str) -> Any:
    return YAML().load(ROOT / name)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _read("docker-compose.yml")["services"]
    return found


def test_every_service_is_hardened(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == set(NAMES)
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["stop_grace_period"] == "60s", name
        assert name == "train" or (service["restart"] == "unless-stopped" and service["mem_limit"]), name


def test_only_the_gateway_is_reached_and_only_from_this_machine(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == {"gateway"}
    assert all(port.startswith("127.0.0.1:") for port in services["gateway"]["ports"])
    networks = _read("docker-compose.yml")["networks"]
    assert networks["stages"]["internal"]
    assert networks["queue"]["internal"]
    for stage in ("preprocess", "cnn", "rnn"):
        assert services[stage]["networks"] == ["stages"]


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
        assert [volume.endswith(":/bundle:ro") for volume in services[name]["volumes"]] == [True]


def test_without_a_gpu_nothing_asks_for_one() -> None:
    overlay = _read("docker-compose.cpu.yml")["services"]
    for name, service in _read("docker-compose.yml")["services"].items():
        if "deploy" in service:
            assert str(overlay[name]["deploy"]["resources"]["reservations"].tag) == "!reset"
    assert overlay["cnn"]["environment"] == {
        "ICH_CNN_DEVICE": "cpu",
        "ICH_CNN_ENGINE": "${ICH_CNN_ENGINE:-tensorflow}",
        "ICH_CNN_MAX_BATCH": "16",
        "ICH_CNN_MAX_DELAY_S": "0",
    }


def test_the_files_are_valid(tmp_path: Path) -> None:
    """By the schema of the Compose specification, without the tag `!reset`, which no schema knows."""
    from check_jsonschema import main as check  # noqa: PLC0415 - used here alone

    for name in ("docker-compose.yml", "docker-compose.cpu.yml"):
        path = tmp_path / name
        path.write_text((ROOT / name).read_text().replace("!reset null", "{}"))
        with pytest.raises(SystemExit) as ended:
            check(["--builtin-schema", "vendor.compose-spec", str(path)])
        assert ended.value.code == 0
