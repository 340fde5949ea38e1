"""Balancers of others in front of replicas: of connections, as a Service of Kubernetes is one, and of requests."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_START_S: Final = 30


@contextmanager
def balancing(kind: str, port: int, backends: Sequence[int], folder: Path) -> Iterator[None]:
    """Spread what comes to `port` over the backends until the context ends."""
    if kind == "iptables":
        with _rules(port, backends):
            yield
        return
    write, command = _KINDS[kind]
    file = folder / f"{kind}.conf"
    file.write_text(write(port, [f"127.0.0.1:{backend}" for backend in backends], folder))
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen([word.format(file=file) for word in command], stdout=log, stderr=log)
    try:
        _wait_until_open(port, process, folder / f"{kind}.log")
        yield
    finally:
        process.terminate()
        process.wait(30)


def rules_possible() -> bool:
    """Whether this user may set rules of addresses, as kube-proxy does."""
    return (
        bool(shutil.which("iptables"))
        and not subprocess.run(["iptables", "-t", "nat", "-L", "OUTPUT"], capture_output=True, check=False).returncode
    )


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()  # noqa: PT018
            time.sleep(0.05)
        else:
            return


@contextmanager
def _rules(port: int, backends: Sequence[int]) -> Iterator[None]:
    """Rules that give each new connection to a random backend, alive or dead."""
    with ExitStack() as rules:
        for number, backend in enumerate(backends):
            chance = f"{1 / (len(backends) - number):.6f}"
            rule = f"OUTPUT -p tcp -d 127.0.0.1 --dport {port} -m statistic --mode random --probability {chance}"
            rule += f" -j DNAT --to-destination 127.0.0.1:{backend}"
            subprocess.run(["iptables", "-t", "nat", "-A", *rule.split()], check=True)
            rules.callback(subprocess.run, ["iptables", "-t", "nat", "-D", *rule.split()], check=True)
        yield


def _nginx(port: int, backends: Sequence[str], folder: Path) -> str:
    servers = " ".join(f"server {backend};" for backend in backends)
    return f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
        daemon off; pid {folder}/nginx.pid; error_log stderr;
        events {{}}
        stream {{ upstream cnn {{ {servers} }}
          server {{ listen 127.0.0.1:{port}; proxy_pass cnn; proxy_connect_timeout 2s; }} }}
        """


def _haproxy(port: int, backends: Sequence[str], folder: Path) -> str:  # noqa: ARG001 - as the others
    servers = "\n".join(f"  server replica{number} {backend}" for number, backend in enumerate(backends))
    return f"""defaults
  mode tcp
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  retries 3
  option redispatch 1
listen cnn
  bind 127.0.0.1:{port}
  balance leastconn
{servers}
"""


def _caddy(port: int, backends: Sequence[str], folder: Path) -> str:  # noqa: ARG001 - as the others
    return f"""{{
  admin off
}}
http://127.0.0.1:{port} {{
  reverse_proxy {" ".join(backends)} {{
    lb_policy round_robin
    health_uri /v2/health/ready
    health_interval 1s
    fail_duration 5s
  }}
}}
"""


_KINDS: Final[Mapping[str, tuple[Callable[[int, Sequence[str], Path], str], Sequence[str]]]] = {
    "nginx, connections": (_nginx, ("nginx", "-c", "{file}")),
    "haproxy, connections": (_haproxy, ("haproxy", "-db", "-f", "{file}")),
    "caddy, requests": (_caddy, ("caddy", "run", "--adapter", "caddyfile", "--config", "{file}")),
}
