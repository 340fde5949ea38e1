"""`make bench`: what it costs to be four services, on this machine, with the bundle and the samples that ship.

Figures of one run can be compared with each other; seconds of two machines, or of two days, can't.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from services.common.tensors import Message, Tensor, bytes_tensor
from services.gateway.stages import Stage, connect
from tests.preprocess.gdcm_files import recompressed
from tests.running import ROOT, Service, cpu_s, resident_bytes, running_service
from tests.scans import ct_slice, series

Files = list[tuple[str, tuple[str, bytes]]]
STAGES = ("preprocess", "cnn", "rnn")


def main() -> None:
    """Start everything, measure, print a table."""
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "log") as service:
        parts = (_requests(service), asyncio.run(_hops(service)), _cores(service), _long_series(service))
        for name, value in (line for part in parts for line in part):
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


def _cores(service: Service) -> Iterator[tuple[str, str]]:
    """How many cores a series keeps busy: in the whole chain, and preprocess alone on the same chunks."""
    processes = [service.process(name) for name in service.ports]
    plain = series(34)
    for name, files in (("uncompressed", plain), ("JPEG 2000", _compressed(plain))):
        busy = _busy(processes, partial(_post, service, _files(files)))
        yield f"34 slices, {name}: cores busy, of {os.cpu_count()}", busy
        alone = _busy(processes[1:2], partial(_alone, service, list(files.values())))
        yield "  preprocess alone", alone


def _busy(processes: Sequence[int], work: Callable[[], object]) -> str:
    found = []
    for _ in range(6):
        begin, before = time.perf_counter(), sum(map(cpu_s, processes))
        for _ in range(3):
            work()
        found.append((sum(map(cpu_s, processes)) - before) / (time.perf_counter() - begin))
    return f"{statistics.median(found[1:]):9.2f}"


def _post(service: Service, files: Files) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/predictions", files=files, timeout=300).raise_for_status()


def _alone(service: Service, files: Sequence[bytes]) -> None:
    asyncio.run(_preprocess_alone(service, files))


async def _preprocess_alone(service: Service, files: Sequence[bytes]) -> None:
    """Chunks of 16, two under way, as the gateway sends them."""
    stage = connect("preprocess", f"http://127.0.0.1:{service.ports['preprocess']}", 2, 60)
    two = asyncio.Semaphore(2)

    async def send(chunk: Sequence[bytes]) -> None:
        async with two:
            await stage.infer("slices", Message((bytes_tensor("files", chunk),)))

    await asyncio.gather(*(send(files[at : at + 16]) for at in range(0, len(files), 16)))
    await stage.close()


def _compressed(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: recompressed(data, "JPEG2000Lossless") for name, data in files.items()}


def _long_series(service: Service) -> Iterator[tuple[str, str]]:
    """What grows with the length of a series, and what does not."""
    processes = {name: service.process(name) for name in service.ports}
    for count in (34, 300):
        files = _files(series(count))
        before = {name: resident_bytes(process) for name, process in processes.items()}
        begin = time.perf_counter()
        peaks = _peaks_while(partial(_post, service, files), processes)
        yield f"{count} slices, whole request", f"{time.perf_counter() - begin:9.2f} s"
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
