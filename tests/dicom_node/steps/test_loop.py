import time
from collections.abc import Callable

from services.dicom_node.steps.completing import Completing
from services.dicom_node.steps.gateway_errors import TemporaryFailure
from services.dicom_node.steps.loop import StepLoop
from tests.dicom_node.registries import Node
from tests.dicom_node.steps.pipelines import Pipeline


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_loop_moves_all_series_and_ends(node: Node) -> None:
    pipeline = Pipeline(node, quiet_s=0.01, builds=2)
    sent: list[str] = []
    pipeline.steps.wake_sender = lambda: sent.append("woken")
    for number in range(6):
        node.receive_series([1, 2], series_instance_uid=f"2.25.{number}")
    node.clocks.pass_s(1)
    loop = StepLoop(node.registry, pipeline.steps, pipeline.completing, pipeline.settings)
    assert not loop.is_running()
    loop.start()

    def is_done() -> bool:
        node.clocks.pass_s(1)
        loop.wake()
        return [row[1] for row in pipeline.assessments] == ["built"] * 6 and pipeline.fake_gateway.jobs == {}

    wait_for(is_done)
    assert loop.is_running()
    loop.stop()
    assert not loop.is_running()
    assert sent == ["woken"] * 6
    assert pipeline.fake_builder.built == 6
    assert list(pipeline.fake_gateway.sent.values()) == [1] * 6


def test_an_error_of_a_round_does_not_end_the_loop(node: Node) -> None:
    pipeline = Pipeline(node, quiet_s=0.01)
    failing = iter([OSError(28, "no space"), OSError(28, "no space")])

    class FailsAtFirst(Completing):
        def run(self) -> int:
            for error in failing:
                raise error
            return super().run()

    completing = FailsAtFirst(node.registry, pipeline.selection, pipeline.settings)

    node.receive_series([1])
    node.clocks.pass_s(1)
    loop = StepLoop(node.registry, pipeline.steps, completing, pipeline.settings)
    loop.start()

    def is_done() -> bool:
        loop.wake()
        return len(pipeline.assessments) == 1

    wait_for(is_done)
    loop.stop()


def test_while_the_gateway_is_paused_it_gets_no_request(node: Node) -> None:
    pipeline = Pipeline(node, quiet_s=0.01)
    pipeline.fake_gateway.plan["submit"] = [TemporaryFailure("overloaded", 1000.0)]
    for number in range(6):
        node.receive_series([1], series_instance_uid=f"2.25.{number}")
    node.clocks.pass_s(1)
    loop = StepLoop(node.registry, pipeline.steps, pipeline.completing, pipeline.settings)
    loop.start()
    wait_for(lambda: pipeline.steps.gateway_is_paused)
    calls = list(pipeline.crashes.calls)
    for _ in range(3):
        loop.wake()
        time.sleep(0.1)
    assert pipeline.crashes.calls[len(calls) + 8 :] == []
    loop.stop()
