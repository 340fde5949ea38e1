"""The examples for clusters: their objects by schema, and their commands by the command line's own parser."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from training.cli.app import build_app

FOLDER = Path(__file__).parents[2] / "deploy" / "training"
JOBS = ("parts.yaml", "join.yaml", "cnn.yaml")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def parses(command: str) -> None:
    """The command line knows the command and all of its options."""
    build_app().parse_args(shlex.split(command), exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", JOBS)
def test_jobs_are_valid_by_kubernetes_schemas(name: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, "1.33", strict=True)


@pytest.mark.parametrize("name", JOBS)
def test_the_commands_of_jobs_are_the_programs(name: str) -> None:
    for document in (each for each in documents(name) if each["kind"] == "Job"):
        container = document["spec"]["template"]["spec"]["containers"][0]
        values = {entry["name"]: entry["value"] for entry in container["env"]}
        (command,) = container["args"]
        command = command.removeprefix("exec python -m training ").replace("`expr $JOB_COMPLETION_INDEX + 1`", "2")
        for variable, value in values.items():
            command = command.replace(f"${variable}", value)
        assert "$" not in command
        number = values.get("PARTS") or values["NUMBER"]
        assert number == str(document["spec"].get("completions", number))
        assert document["spec"].get("parallelism") == document["spec"].get("completions")
        parses(command)


def test_the_workflow_runs_every_step_once_before_the_bundle() -> None:
    (workflow,) = documents("argo-workflow.yaml")
    templates = {template["name"]: template for template in workflow["spec"]["templates"]}
    tasks = templates[workflow["spec"]["entrypoint"]]["dag"]["tasks"]
    seen: list[str] = []
    for task in tasks:
        assert set(task.get("dependencies", [])) == set(seen[-1:])
        assert task["template"] in templates
        assert ("withSequence" in task) == task["name"].endswith("-parts")
        seen.append(task["name"])
        (parameter,) = task["arguments"]["parameters"]
        command = parameter["value"].replace("{{item}}", "1")
        for own in workflow["spec"]["arguments"]["parameters"]:
            command = command.replace(f"{{{{workflow.parameters.{own['name']}}}}}", own["value"])
        assert "{{" not in command
        parses(command)
    assert seen[-1] == "bundle"


def test_the_containers_of_the_workflow_are_valid_by_kubernetes_schemas() -> None:
    """Argo's own fields have no schema here; its containers are those of a pod."""
    (workflow,) = documents("argo-workflow.yaml")
    containers = [template["container"] for template in workflow["spec"]["templates"] if "container" in template]
    assert len(containers) == 2
    for number, container in enumerate(containers):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"step-{number}"},
            "spec": {
                "containers": [{"name": "main", **container}],
                "volumes": workflow["spec"]["volumes"],
                "securityContext": workflow["spec"]["securityContext"],
            },
        }
        kubernetes_validate.validate(pod, "1.33", strict=True)


def test_the_script_for_slurm_gives_the_part_of_its_task(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    for variables, expected in (
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16"}, "-m training shards a b --part 3/16\n"),
        ({}, "-m training shards a b\n"),
    ):
        command = [str(FOLDER / "slurm.sh"), "shards", "a b"]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == expected
