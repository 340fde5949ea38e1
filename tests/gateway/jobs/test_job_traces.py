"""The trace of a job's request, over a real Redis."""

from redis import Redis

from services.common.tracing import span
from services.gateway.jobs.job_traces import JobTraces
from tests.otlp_receiver import flush_spans, traced_process


def test_without_traces_redis_gets_nothing(redis: Redis) -> None:
    traces = JobTraces(redis)
    with traces.sending("a" * 28, "urgent"), traces.processing("a" * 28, "a-000001", "urgent"):
        pass
    assert redis.keys() == []


def test_a_task_belongs_to_the_trace_of_its_request(redis: Redis) -> None:
    with traced_process() as collector:
        with span("POST /v1/jobs", "server"), JobTraces(redis).sending("a" * 28, "urgent"):
            pass
        with JobTraces(redis).processing("a" * 28, "a-000001", "urgent"):
            pass
        redis.flushall()
        with JobTraces(redis).processing("a" * 28, "a-000002", "urgent"):
            pass
        flush_spans()
        spans = {one.attributes.get("messaging.message.id", one.name): one for one in collector.spans()}
    request, sent = spans["POST /v1/jobs"], spans["send ich-urgent"]
    task, lost = spans["a-000001"], spans["a-000002"]
    assert (request.trace, request.id) == (sent.trace, sent.parent)
    assert (task.trace, task.parent, task.kind) == (sent.trace, sent.id, "consumer")
    assert (lost.parent, lost.kind) == ("", "consumer")
