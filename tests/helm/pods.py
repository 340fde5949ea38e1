"""Runs the rendered pods with podman, as a kubelet would: users, read-only roots, volumes and Secrets of a group.

No API server, no scheduler and no NetworkPolicy: `fsGroup`, `emptyDir`, claims, Secrets and init containers are copied
from Kubernetes' behaviour. A pod has the name of its Service on a network of its own.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.helm.chart import Rendered, Workload

_GROUP_MODE: Final = 0o2777  # of an emptyDir with fsGroup: files get the group of the folder


@dataclass(frozen=True)
class Pods:
    """The pods of a release.

    folder : holds claims and Secrets
    secrets : those that the values name, by name and key
    """

    release: Rendered
    network: str
    folder: Path
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def start(self, component: str, replica: int = 0) -> None:
        """Start a pod of a service after its init containers."""
        workload = self.release.workload(component)
        volumes = self._volumes(workload, replica)
        for container in workload.spec.get("initContainers", ()):
            podman("run", "--rm", *self._options(workload, container, volumes))
        name = self.container(component, replica)
        podman("rm", "--force", "--ignore", name)
        self.started.append(name)
        options = self._options(workload, workload.spec["containers"][0], volumes)
        alias = ("--network-alias", workload.name, "--hostname", f"{workload.name}-{replica}")
        podman("run", "--detach", "--name", name, *alias, *options)

    def run(self, component: str) -> str:
        """Run a pod to its end, and return what its container prints; AssertionError where one fails."""
        workload = self.release.workload(component)
        volumes = self._volumes(workload)
        return [
            podman("run", "--rm", *self._options(workload, container, volumes)) for container in workload.containers()
        ][-1]

    def stop(self, component: str) -> None:
        """Stop a pod, with SIGTERM and its time to end."""
        seconds = self.release.workload(component).spec.get("terminationGracePeriodSeconds", 30)
        podman("stop", "--time", str(seconds), self.container(component))

    def container(self, component: str, replica: int = 0) -> str:
        """The name of a pod's container."""
        return f"{self.network}-{component}-{replica}"

    def host(self, component: str, replica: int = 0) -> str:
        """The address of a pod, for this machine."""
        (found,) = json.loads(podman("inspect", self.container(component, replica)))
        return str(found["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    def address(self, component: str, replica: int = 0) -> str:
        """The base URL of a pod, for this machine."""
        return f"http://{self.host(component, replica)}:8000"

    def logs(self) -> str:
        """The end of all logs."""
        return "\n".join(f"== {name}\n{_log(name)}" for name in self.started)

    def _options(self, workload: Workload, container: Mapping[str, Any], volumes: Mapping[str, str]) -> Iterator[str]:
        pod, own = workload.spec["securityContext"], container["securityContext"]
        yield from ("--network", self.network, "--user", f"{pod['runAsUser']}:{pod['runAsGroup']}")
        yield from ("--group-add", str(pod["fsGroup"]), "--image-volume", "ignore")
        yield from (f"--cap-drop={name}" for name in own["capabilities"]["drop"])
        yield from ("--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false")
        for name, value in self._environment(container).items():
            yield from ("--env", f"{name}={value}")
        for mount in container["volumeMounts"]:
            read_only = ",readonly" if mount.get("readOnly") else ""
            yield from ("--mount", f"{volumes[mount['name']]},destination={mount['mountPath']}{read_only}")
        yield from ("--entrypoint", json.dumps(container["command"])) if "command" in container else ()
        yield container["image"]

    def _environment(self, container: Mapping[str, Any]) -> dict[str, str]:
        named = {each["name"]: each["value"] for each in container.get("env") or ()}
        for source in container.get("envFrom", ()):
            named = {**self.secrets[source["secretRef"]["name"]], **named}
        return named

    def _volumes(self, workload: Workload, replica: int = 0) -> dict[str, str]:
        """How each volume of a pod is mounted."""
        group = workload.spec["securityContext"]["fsGroup"]
        found = {
            each["name"]: self._volume(f"{workload.name}-{replica}", each, group) for each in workload.spec["volumes"]
        }
        claims = {
            each["metadata"]["name"]: f"{each['metadata']['name']}-{workload.name}-{replica}"
            for each in workload.claims()
        }
        return found | {name: _bind(_folder(self.folder / claim, group)) for name, claim in claims.items()}

    def _volume(self, pod: str, volume: Mapping[str, Any], group: int) -> str:
        if "secret" in volume:
            return _bind(self._secret(volume["secret"], group))
        if "persistentVolumeClaim" in volume:
            return _bind(_folder(self.folder / volume["persistentVolumeClaim"]["claimName"], group))
        if volume["emptyDir"].get("medium") == "Memory":
            size = volume["emptyDir"]["sizeLimit"].removesuffix("i").lower()
            return f"type=tmpfs,tmpfs-size={size},tmpfs-mode=1777"
        path = self.folder / f"empty-{pod}-{volume['name']}"
        shutil.rmtree(path, ignore_errors=True)
        return _bind(_folder(path, group))

    def _content(self, name: str) -> dict[str, bytes]:
        if name in self.secrets:
            return {key: value.encode() for key, value in self.secrets[name].items()}
        found = self.release.one("Secret", name)["data"]
        return {key: base64.b64decode(value) for key, value in found.items()}

    def _secret(self, secret: Mapping[str, Any], group: int) -> Path:
        """A folder with the Secret's files: root's, and readable for the pod's group."""
        folder = _folder(self.folder / f"secret-{secret['secretName']}-{group}", group)
        for name, content in self._content(secret["secretName"]).items():
            path = folder / name
            path.write_bytes(content)
            os.chown(path, 0, group)
            path.chmod(secret["defaultMode"])
        return folder


def _log(name: str) -> str:
    command = ("podman", "logs", "--tail", "15", name)
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def _bind(path: Path) -> str:
    return f"type=bind,source={path}"


def _folder(path: Path, group: int) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, 0, group)
    path.chmod(_GROUP_MODE)
    return path


def podman(*arguments: str) -> str:
    """Run podman; its output, or AssertionError with its last words."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"podman {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def network(name: str) -> Iterator[str]:
    """A network of pods, removed at the end; the address of this machine in it."""
    podman("network", "create", name)
    try:
        yield podman("network", "inspect", "--format", "{{(index .Subnets 0).Gateway}}", name).strip()
    finally:
        podman("network", "rm", "--force", name)


@contextmanager
def ending(pods: Pods) -> Iterator[Pods]:
    """Remove the pods at the end."""
    try:
        yield pods
    finally:
        for container in pods.started:
            subprocess.run(["podman", "rm", "--force", "--time", "0", container], capture_output=True, check=False)
