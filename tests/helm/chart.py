"""The rendered chart: its objects by kind and name."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.helm.tool import helm
from tests.running import ROOT

CHART: Final = ROOT / "deploy" / "helm" / "ich"
VALUE_SETS: Final = ("cpu", "cloud", "hospital")
NAMESPACE: Final = "radiology"
Object = Mapping[str, Any]
_POD_KINDS: Final = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Workload:
    """A pod template, the labels of its pods, and the kind of its object."""

    kind: str
    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    object: Object

    @property
    def component(self) -> str:
        """The service that it runs."""
        return self.labels["app.kubernetes.io/component"]

    def containers(self) -> list[Mapping[str, Any]]:
        """All containers, those of the start too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def claims(self) -> list[Object]:
        """The claims of a StatefulSet's pods."""
        found: list[Object] = self.object["spec"].get("volumeClaimTemplates", [])
        return found

    def environment(self) -> dict[str, str]:
        """The variables of the service's container."""
        return {each["name"]: each["value"] for each in self.spec["containers"][0].get("env") or ()}

    def ports(self) -> set[str | int]:
        """Names and numbers of the ports that it listens on."""
        found = [port for container in self.spec["containers"] for port in container.get("ports", ())]
        return {port["name"] for port in found} | {port["containerPort"] for port in found}


@dataclass(frozen=True)
class Rendered:
    """The objects of a release."""

    objects: list[Object]

    def of(self, *kinds: str) -> list[Object]:
        """All objects of some kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        """The object of a name."""
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def workloads(self) -> Iterator[Workload]:
        """All pods, that of `helm test` too."""
        for each in self.of(*_POD_KINDS):
            template = each["spec"]["template"]
            labels, name = template["metadata"]["labels"], each["metadata"]["name"]
            yield Workload(each["kind"], name, labels, template["spec"], each)
        for each in self.of("Pod"):
            metadata = each["metadata"]
            yield Workload("Pod", metadata["name"], metadata["labels"], each["spec"], each)

    def workload(self, component: str) -> Workload:
        """The pods of a service."""
        (found,) = (each for each in self.workloads() if each.component == component)
        return found


def sample_files() -> dict[str, bytes]:
    """The files of the sample series."""
    return {path.name: path.read_bytes() for path in sorted((ROOT / "samples" / "series").glob("*.dcm"))}


def values_file(name: str) -> Path:
    """The path of a value set."""
    return CHART / "ci" / f"{name}.yaml"


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm; its output."""
    return subprocess.run([helm(), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def template(values: str, *settings: str) -> subprocess.CompletedProcess[str]:
    """Render a value set with `--set-json` of settings."""
    options = [word for setting in settings for word in ("--set-json", setting)]
    return run_helm("template", "ich", CHART, "--namespace", NAMESPACE, "--values", values_file(values), *options)


@cache
def rendered(values: str, *settings: str) -> Rendered:
    """The objects of a value set; AssertionError with helm's message where it refuses."""
    done = template(values, *settings)
    assert done.returncode == 0, done.stderr
    return Rendered([each for each in YAML(typ="safe", pure=True).load_all(done.stdout) if each])


def refused(values: str, *settings: str) -> str:
    """The message with which helm refuses the values."""
    done = template(values, *settings)
    assert done.returncode != 0, f"{settings} were accepted"
    return done.stderr


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(_matches(each, labels) for each in selector.get("matchExpressions", ()))


def _matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert expression["operator"] == "In", expression
    return labels.get(expression["key"]) in expression["values"]
