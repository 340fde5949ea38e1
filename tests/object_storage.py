"""A real S3 server, SeaweedFS, as the object storage of tests and drills."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import obstore
from obstore.store import S3Store

from tests.running import free_ports

ACCESS_KEY: Final = "tests"
SECRET_KEY: Final = "a-secret-of-tests-only"  # noqa: S105 - of a server that lives as long as its tests
_BUCKET: Final = "jobs"
_PORTS: Final = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)
_OPTIONS: Final = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-filer",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=256",
    "-volume.max=100",
)


@dataclass(frozen=True)
class ObjectServer:
    """A running server with one bucket, whose client may read, write and list only.

    process : the process id
    """

    endpoint: str
    process: int

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which clients of S3 find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def new_url(self) -> str:
        """The address of an empty part of the bucket, for `ICH_GATEWAY_JOBS_URL`."""
        return f"s3://{_BUCKET}/{secrets.token_hex(8)}"


def server_ports() -> list[int]:
    """Free ports for a server; the first is that of S3."""
    return free_ports(len(_PORTS))


@contextmanager
def running_object_server(
    folder: Path, *options: str, port: int | None = None, ports: Sequence[int] | None = None
) -> Iterator[ObjectServer]:
    """Start the server with its data in a folder, wait until it stores, and stop it at the end.

    Parameters
    ----------
    options : further ones of `weed server`
    port : of S3; the other ports are free ones
    ports : all of them, as `server_ports` gives them, for a server that starts again with its data
    """
    ports = list(ports or server_ports())
    if port:
        ports[0] = port
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [_identity("admin", "Admin"), _identity(ACCESS_KEY, *_USES)]}))
    command = [
        str(Path(sys.executable).with_name("weed")),
        f"-logdir={folder}",
        "server",
        f"-dir={folder}",
        f"-s3.config={config}",
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.localSocket={folder}/s3.sock",
        *_OPTIONS,
        *options,
        *(f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)),
    ]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        server = ObjectServer(f"http://127.0.0.1:{ports[0]}", process.pid)
        _wait(server, process, folder / "weed.log")
        yield server
    finally:
        process.kill()  # its data goes with the folder
        process.wait(20)


_USES: Final = ("Read", "Write", "List")


def _identity(name: str, *actions: str) -> dict[str, object]:
    return {
        "name": name,
        "credentials": [{"accessKey": name, "secretKey": SECRET_KEY}],
        "actions": actions,
    }


def _wait(server: ObjectServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the server answers, and its administrator has made the bucket by a first object."""
    admin = S3Store(
        _BUCKET,
        endpoint=server.endpoint,
        access_key_id="admin",
        secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    for _ in range(1200):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            httpx.get(f"{server.endpoint}/healthz", timeout=5).raise_for_status()
            obstore.put(admin, "first", b"not empty: makes the first volume")
        except (httpx.HTTPError, obstore.exceptions.BaseError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text()[-3000:])
