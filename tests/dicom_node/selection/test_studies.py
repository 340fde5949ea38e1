"""The selection with the real registry: one series of a study is chosen, and never half of one."""

from typing import Any, Final

import pytest

from services.dicom_node.selection.rules import Selection
from services.dicom_node.settings import Settings
from services.dicom_node.steps.completing import Completing
from tests.dicom_node.registries import Node

BONE: Final = {"series_instance_uid": "1.1", "convolution_kernel": "H70h"}
SOFT: Final = {"series_instance_uid": "1.2", "convolution_kernel": "H30s"}


def send(node: Node, *kinds: dict[str, Any], images: int = 10, aborted: bool = False) -> None:
    """One association with images of each kind of series."""
    inbox = node.registry.inbox
    transfer = inbox.begin_transfer("c-store", "CT1")
    for kind in kinds:
        for number in range(1, images + 1):
            uid = f"{kind['series_instance_uid']}.{number}"
            node.receive(transfer, number, uid.encode(), **kind, sop_instance_uid=uid, modality="CT")
    inbox.end_transfer(transfer, "aborted" if aborted else "released")


def judge(node: Node) -> dict[str, tuple[bool, str]]:
    """Judge what is complete: the verdicts so far, and their codes."""
    Completing(node.registry, Selection.read(None), Settings(data_dir=node.path)).run()
    rows = node.rows("SELECT series_uid, ours, reasons FROM series WHERE ours IS NOT NULL")
    return {uid: (bool(ours), reasons.split(":")[0].strip('["')) for uid, ours, reasons in rows}


CHOSEN, WORSE, LATER = (True, "chosen"), (False, "not_preferred"), (False, "already_chosen")


def test_the_better_of_two_series_of_one_association_is_chosen(node: Node) -> None:
    send(node, BONE, SOFT)
    node.clocks.pass_s(20)
    assert judge(node) == {"1.1": WORSE, "1.2": CHOSEN}


def test_a_series_waits_while_a_better_one_arrives(node: Node) -> None:
    send(node, BONE)
    node.clocks.pass_s(10)
    send(node, SOFT)
    node.clocks.pass_s(10)
    assert judge(node) == {}
    node.clocks.pass_s(10)
    assert judge(node) == {"1.1": WORSE, "1.2": CHOSEN}


def test_a_better_series_after_the_choice_changes_nothing(node: Node) -> None:
    send(node, BONE)
    node.clocks.pass_s(20)
    assert judge(node) == {"1.1": CHOSEN}
    send(node, SOFT)
    node.clocks.pass_s(20)
    assert judge(node) == {"1.1": CHOSEN, "1.2": LATER}


def test_half_a_series_that_was_assessed_does_not_keep_a_whole_one_from_it(node: Node) -> None:
    send(node, SOFT, aborted=True)
    node.clocks.pass_s(86_400)
    assert judge(node) == {"1.2": CHOSEN}, "after the time-out, with a warning"
    send(node, BONE)
    node.clocks.pass_s(20)
    assert judge(node) == {"1.2": CHOSEN, "1.1": CHOSEN}


@pytest.mark.parametrize("later_s", [20, 86_400])
def test_a_whole_series_is_chosen_over_half_of_a_better_one(node: Node, later_s: float) -> None:
    send(node, SOFT, aborted=True)
    send(node, BONE)
    node.clocks.pass_s(later_s)
    assert judge(node)["1.1"] == CHOSEN
    node.clocks.pass_s(86_400)
    assert judge(node) == {"1.1": CHOSEN, "1.2": LATER}
