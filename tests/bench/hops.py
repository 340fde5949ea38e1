"""Cost of four services: HTTP hops, and the time of a request outside of its stages."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import httpx

from services.common.tensors import Message, Tensor, bytes_tensor
from services.gateway.stages.stage_client import StageClient, connect
from tests.bench.clients import Call, fresh, upload
from tests.bench.figures import Figure, measured
from tests.bench.plan import Plan, product, study
from tests.running import NAMES, Service, cpu_s
from tests.scans import ct_slice

STAGES: Final = ("preprocess", "cnn", "rnn")


def measure(plan: Plan) -> Iterator[Figure]:
    """Measure the product with default settings."""
    with product() as service:
        yield from _requests(plan, service)
        yield from asyncio.run(_hops(plan, service))


def _requests(plan: Plan, service: Service) -> Iterator[Figure]:
    """Parts of a request's time, from the report and from the processes, and the rest."""
    requests = {
        "one 512 x 512 slice": (study(1), plan.choose(60, 4)),
        "34 slices, whose work overlaps": (study(34), plan.choose(8, 2)),
    }
    processes = {process: service.process(process) for process in NAMES}
    with httpx.Client(base_url=service.url, timeout=120) as client:
        for name, (files, repeats) in requests.items():
            call = upload(service.ports["gateway"], files)
            for _ in range(repeats // 4):
                _request_ms(client, call)
            before = {process: cpu_s(number) for process, number in processes.items()}
            timings = [_request_ms(client, call) for _ in range(repeats)]
            for process, number in processes.items():
                used = (cpu_s(number) - before[process]) / repeats * 1e3
                yield Figure(f"{name}: {process}, processor time", used, "core-ms")
            for part in timings[0]:
                yield measured(f"{name}: {part}", "ms", [each[part] for each in timings])
            rest = [each["whole"] - sum(each[stage] for stage in STAGES) for each in timings]
            yield measured(f"{name}, less the stages' own work", "ms", rest)


def _request_ms(client: httpx.Client, call: Call) -> dict[str, float]:
    """Milliseconds of the whole request, and of its parts as the report states them."""
    new = fresh(call)
    begin = time.perf_counter()
    answer = client.post(new.path, content=new.body, headers=new.headers).raise_for_status()
    took = (time.perf_counter() - begin) * 1e3
    timings = answer.json()["timings_ms"]
    return {"whole": took} | {part: float(timings[part]) for part in ("upload", *STAGES)}


async def _hops(plan: Plan, service: Service) -> list[Figure]:
    """Time that a hop adds to a stage's work, with the gateway's own client, for each stage."""
    stages = {name: connect(name, f"http://127.0.0.1:{service.ports[name]}", 2, 60) for name in STAGES}
    made = (await stages["preprocess"].infer("slices", Message((bytes_tensor("files", [ct_slice()]),)))).message
    sliced = Message((made.tensor("slices", "UINT8"),))
    features = (await stages["cnn"].infer("cnn", sliced)).message.tensor("features", "FP32")
    calls = {
        "preprocess": ("slices", Message((bytes_tensor("files", [ct_slice()]),))),
        "cnn": ("cnn", sliced),
        "rnn": ("rnn", Message((features, Tensor("position_mm", "FP32", (1,), (bytes(4),))))),
    }
    found = [
        measured(f"hop to {name} and back, one slice", "ms", await _hop(plan, stages[name], *calls[name]))
        for name in STAGES
    ]
    for stage in stages.values():
        await stage.close()
    return found


async def _hop(plan: Plan, stage: StageClient, model: str, message: Message) -> list[float]:
    added = []
    for _ in range(plan.choose(80, 4)):
        begin = time.perf_counter()
        answer = await stage.infer(model, message)
        added.append((time.perf_counter() - begin) * 1e3 - answer.work_ms)
    return added[len(added) // 4 :]
