"""What it costs to be four services: hops, what a request takes beside its stages' work, and the cores kept busy."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import httpx

from services.common.tensors import Message, Tensor, bytes_tensor
from services.gateway.stage_client import StageClient, connect
from tests.bench.figures import Figure, measured
from tests.bench.networks import CHUNK
from tests.bench.plan import Plan, served
from tests.preprocess.gdcm_files import recompressed
from tests.running import ROOT, Service, cpu_s
from tests.scans import ct_slice, series

STAGES: Final = ("preprocess", "cnn", "rnn")


def measure(plan: Plan) -> Iterator[Figure]:
    """The product with all its defaults."""
    with served() as service:
        yield from _requests(plan, service)
        yield from asyncio.run(_hops(plan, service))
        yield from _cores(plan, service)


def _requests(plan: Plan, service: Service) -> Iterator[Figure]:
    """Where the time of a request goes, by what its answer says and by the processes; and what is left."""
    sample = sorted((ROOT / "samples" / "series").glob("*.dcm"))[15].read_bytes()
    sent = {
        "one 512 x 512 slice": ({"one.dcm": ct_slice()}, plan.some(120, 4)),
        "one 256 x 256 slice": ({"one.dcm": sample}, plan.some(120, 4)),
        "34 slices, whose work overlaps": (series(34), plan.some(8, 2)),
    }
    processes = {process: service.process(process) for process in service.ports}
    with httpx.Client(base_url=service.url, timeout=120) as client:
        for name, (files, repeats) in sent.items():
            for _ in range(repeats // 4):
                _told_ms(client, files)
            before = {process: cpu_s(number) for process, number in processes.items()}
            told = [_told_ms(client, files) for _ in range(repeats)]
            for process, number in processes.items():
                used = (cpu_s(number) - before[process]) / repeats * 1e3
                yield Figure(f"{name}: {process}, processor time", used, "core-ms")
            for part in told[0]:
                yield measured(f"{name}: {part}", "ms", [each[part] for each in told])
            rest = [each["whole"] - sum(each[stage] for stage in STAGES) for each in told]
            yield measured(f"{name}, less the stages' own work", "ms", rest)


def _told_ms(client: httpx.Client, files: Mapping[str, bytes]) -> dict[str, float]:
    """The whole by the client's clock, and what the answer says of its parts."""
    begin = time.perf_counter()
    answer = client.post("/v1/predictions", files=[("files", item) for item in files.items()]).raise_for_status()
    took = (time.perf_counter() - begin) * 1e3
    timings = answer.json()["timings_ms"]
    return {"whole": took} | {part: float(timings[part]) for part in ("upload", *STAGES)}


async def _hops(plan: Plan, service: Service) -> list[Figure]:
    """What a hop adds to a stage's work: the gateway's own client, one stage at a time."""
    stages = {name: connect(name, f"http://127.0.0.1:{service.ports[name]}", 2, 60) for name in STAGES}
    made = (await stages["preprocess"].infer("slices", Message((bytes_tensor("files", [ct_slice()]),)))).message
    sliced = Message((made.tensor("slices", "UINT8"),))
    features = (await stages["cnn"].infer("cnn", sliced)).message.tensor("features", "FP32")
    asked = {
        "preprocess": ("slices", Message((bytes_tensor("files", [ct_slice()]),))),
        "cnn": ("cnn", sliced),
        "rnn": ("rnn", Message((features, Tensor("position_mm", "FP32", (1,), (bytes(4),))))),
    }
    found = [
        measured(f"hop to {name} and back, one slice", "ms", await _hop(plan, stages[name], *asked[name]))
        for name in STAGES
    ]
    for stage in stages.values():
        await stage.close()
    return found


async def _hop(plan: Plan, stage: StageClient, model: str, message: Message) -> list[float]:
    added = []
    for _ in range(plan.some(80, 4)):
        begin = time.perf_counter()
        answer = await stage.infer(model, message)
        added.append((time.perf_counter() - begin) * 1e3 - answer.work_ms)
    return added[len(added) // 4 :]


def _cores(plan: Plan, service: Service) -> Iterator[Figure]:
    """How many cores a series keeps busy: in the whole chain, and preprocess alone on the same chunks."""
    processes = [service.process(name) for name in service.ports]
    preprocess = [service.process("preprocess")]
    plain = series(34)
    for name, files in (("uncompressed", plain), ("JPEG 2000", _compressed(plain))):
        whole = partial(_post, service, files)
        yield measured(f"34 slices, {name}: cores busy", "cores", _busy(plan, processes, whole), better="more")
        alone = partial(_alone, service, list(files.values()))
        busy = _busy(plan, preprocess, alone)
        yield measured(f"34 slices, {name}: cores busy, preprocess alone", "cores", busy, better="more")


def _busy(plan: Plan, processes: Sequence[int], work: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(plan.some(6, 2)):
        begin, before = time.perf_counter(), sum(map(cpu_s, processes))
        for _ in range(plan.some(3, 1)):
            work()
        found.append((sum(map(cpu_s, processes)) - before) / (time.perf_counter() - begin))
    return found[1:]


def _post(service: Service, files: Mapping[str, bytes]) -> None:
    parts = [("files", item) for item in files.items()]
    httpx.post(f"{service.url}/v1/predictions", files=parts, timeout=300).raise_for_status()


def _alone(service: Service, files: Sequence[bytes]) -> None:
    asyncio.run(_preprocess_alone(service, files))


async def _preprocess_alone(service: Service, files: Sequence[bytes]) -> None:
    """Chunks, two under way, as the gateway sends them."""
    stage = connect("preprocess", f"http://127.0.0.1:{service.ports['preprocess']}", 2, 60)
    two = asyncio.Semaphore(2)

    async def send(chunk: Sequence[bytes]) -> None:
        async with two:
            await stage.infer("slices", Message((bytes_tensor("files", chunk),)))

    await asyncio.gather(*(send(files[at : at + CHUNK]) for at in range(0, len(files), CHUNK)))
    await stage.close()


def _compressed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: recompressed(data, "JPEG2000Lossless") for name, data in files.items()}
