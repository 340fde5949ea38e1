"""`make bench`: what it costs to be four services, on this machine, with the bundle and the samples that ship.

Figures of one run can be compared with each other; seconds of two machines, or of two days, can't.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from services.common.tensors import Message, Tensor, bytes_tensor
from services.gateway.stages import Stage, connect
from tests.running import ROOT, Service, resident_bytes, running_service
from tests.scans import ct_slice, series

Files = list[tuple[str, tuple[str, bytes]]]
STAGES = ("preprocess", "cnn", "rnn")


def main() -> None:
    """Start everything, measure, print a table."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log") as service:
        for name, value in (*_requests(service), *asyncio.run(_hops(service)), *_long_series(service)):
            print(f"{name:58}{value}", flush=True)


def _requests(service: Service) -> Iterator[tuple[str, str]]:
    sample = sorted((ROOT / "samples" / "series").glob("*.dcm"))[15].read_bytes()
    with httpx.Client(base_url=service.url, timeout=120) as client:
        one, rest = _timed(client, _files({"one.dcm": ct_slice()}), 120)
        yield "one 512 x 512 slice, whole request", one
        yield "  less the stages' own work", rest
        _, rest = _timed(client, _files({"one.dcm": sample}), 120)
        yield "one 256 x 256 slice, less the stages' own work", rest
        many, rest = _timed(client, _files(series(34)), 8)
        yield "34 slices, whole request", many
        yield "  less the stages' own work, which overlaps", rest


def _timed(client: httpx.Client, files: Files, repeats: int) -> tuple[str, str]:
    whole, rest = [], []
    for _ in range(repeats + repeats // 4):
        begin = time.perf_counter()
        timings = client.post("/v1/predictions", files=files).raise_for_status().json()["timings_ms"]
        whole.append((time.perf_counter() - begin) * 1e3)
        rest.append(whole[-1] - sum(timings[stage] for stage in STAGES))
    return _spread(whole[repeats // 4 :]), _spread(rest[repeats // 4 :])


async def _hops(service: Service) -> list[tuple[str, str]]:
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
    found = [(f"hop to {name} and back, one slice", await _hop(stages[name], *asked[name])) for name in STAGES]
    for stage in stages.values():
        await stage.close()
    return found


async def _hop(stage: Stage, model: str, message: Message) -> str:
    added = []
    for _ in range(80):
        begin = time.perf_counter()
        answer = await stage.infer(model, message)
        added.append((time.perf_counter() - begin) * 1e3 - answer.work_ms)
    return _spread(added[20:])


def _long_series(service: Service) -> Iterator[tuple[str, str]]:
    files = _files(series(300))
    processes = {name: service.process(name) for name in service.ports}
    before = {name: resident_bytes(process) for name, process in processes.items()}
    begin = time.perf_counter()
    peaks = _peaks_while(lambda: httpx.post(f"{service.url}/v1/predictions", files=files, timeout=300), processes)
    yield "300 slices, whole request", f"{time.perf_counter() - begin:9.2f} s"
    for name, peak in peaks.items():
        yield f"  {name}: memory before, and its peak", f"{before[name] / 2**20:9.0f} MB {peak / 2**20:6.0f} MB"


def _peaks_while(work: Callable[[], httpx.Response], processes: dict[str, int]) -> dict[str, int]:
    peaks = dict.fromkeys(processes, 0)
    with ThreadPoolExecutor(1) as person:
        pending = person.submit(work)
        while not pending.done():
            peaks = {name: max(peak, resident_bytes(processes[name])) for name, peak in peaks.items()}
            time.sleep(0.01)
    pending.result().raise_for_status()
    return peaks


def _files(files: dict[str, bytes]) -> Files:
    return [("files", (name, data)) for name, data in files.items()]


def _spread(milliseconds: Sequence[float]) -> str:
    low, *_, high = statistics.quantiles(milliseconds, n=10)
    return f"{statistics.median(milliseconds):9.1f} ms  (one in ten under {low:.1f}, one in ten over {high:.1f})"


if __name__ == "__main__":
    main()
