"""The product as `make run` starts it: real processes, real HTTP, the default bundle."""

import http.client
import json
import os
import re
import signal
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.http as triton

from services.common.card import open_bundle
from services.common.labels import LABELS
from services.common.shared_memory import create_region, map_region, shared_folder
from services.gateway.settings import Settings
from tests.running import NAMES, ROOT, Service, cpu_s, resident_bytes, shared_memory_bytes
from tests.scans import ct_slice, series, zipped

_UPLOADS_OF_A_CLIENT = Settings().max_uploads_per_client
Parts = list[tuple[str, tuple[str, bytes]]]


def _parts(files: dict[str, bytes]) -> Parts:
    return [("files", (name, data)) for name, data in files.items()]


def _sample_series(samples: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((samples / "series").glob("*.dcm"))}


def _predict(service: Service, files: dict[str, bytes], **query: str) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/predictions", files=_parts(files), params=query, timeout=120)


def test_the_sample_series_is_assessed_by_a_trained_network(service: Service, samples: Path) -> None:
    report = _predict(service, _sample_series(samples)).json()

    assert report["status"] == "assessed"
    assert report["series"]["slices"] == len(_sample_series(samples))
    assert report["model"]["name"] == "default"
    assert report["series"]["predictions"]["any"], report["findings"]
    values = [item["probabilities"]["any"] for item in report["slices"]]
    assert max(values) - min(values) > 0.2
    for item in report["slices"]:
        assert item["probabilities"]["any"] >= max(item["probabilities"][label] for label in LABELS[1:]) - 1e-6


def test_a_zip_a_single_slice_and_a_picture_are_assessed(service: Service, samples: Path) -> None:
    files = _sample_series(samples)
    direct, packed = _predict(service, files).json(), _predict(service, {"study.zip": zipped(files)}).json()
    assert direct["series"]["probabilities"] == packed["series"]["probabilities"]
    for name in ("slice.dcm", "slice.png"):
        report = _predict(service, {name: (samples / name).read_bytes()}, images="true").json()
        assert report["status"] == "assessed"
        assert report["slices"][0]["image"]
    dicom, png = (_predict(service, {n: (samples / n).read_bytes()}).json() for n in ("slice.dcm", "slice.png"))
    assert dicom["slices"][0]["probabilities"] == png["slices"][0]["probabilities"]


def test_ten_concurrent_requests_get_their_own_reports(service: Service, samples: Path) -> None:
    files = list(_sample_series(samples).items())
    uploads = [dict(files[start : start + 3]) for start in range(10)]
    alone = [_predict(service, upload).json() for upload in uploads]

    with ThreadPoolExecutor(10) as clients:
        together = [answer.json() for answer in clients.map(lambda upload: _predict(service, upload), uploads)]

    for one, other in zip(alone, together, strict=True):
        assert [item["file"] for item in one["slices"]] == [item["file"] for item in other["slices"]]
        for left, right in zip(one["slices"], other["slices"], strict=True):
            assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-5)
    assert len({str(report["series"]["probabilities"]) for report in together}) == 10


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("notes.dcm", b"just text", 415),
        ("cut.dcm", ct_slice()[:-1], 422),
        ("bomb.zip", zipped({"zeros": bytes(100 * 1024**2)}), 413),
        ("broken.zip", b"PK\x03\x04" + bytes(100), 422),
        ("nothing.dcm", b"", 422),
    ],
)
def test_a_bad_upload_is_refused_and_the_next_one_is_assessed(
    service: Service, name: str, data: bytes, status: int
) -> None:
    answer = _predict(service, {name: data})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert name in answer.json()["detail"]
    assert _predict(service, {"good.dcm": ct_slice()}).status_code == 200


def test_an_upload_over_the_limit_is_refused_before_its_end(service: Service) -> None:
    announced = f"content-type: multipart/form-data; boundary=b\r\ncontent-length: {2 * 1024**3}\r\n"
    with socket.create_connection(("127.0.0.1", service.ports["gateway"]), timeout=30) as connection:
        connection.sendall(f"POST /v1/predictions HTTP/1.1\r\nhost: localhost\r\n{announced}\r\n".encode())
        connection.sendall(b'--b\r\nContent-Disposition: form-data; name="files"; filename="big.dcm"\r\n\r\n')
        connection.sendall(bytes(1 << 20))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())
    assert (answer.status, problem["code"]) == (413, "too_large")
    assert "big.dcm" in problem["detail"]


def test_a_refused_request_is_accepted_later_on_the_same_connection(service: Service) -> None:
    upload = httpx.Request("POST", service.url, files=_parts(series(40)))
    kept = http.client.HTTPConnection("127.0.0.1", service.ports["gateway"], timeout=60)

    def post() -> tuple[http.client.HTTPResponse, dict[str, object], object]:
        kept.request("POST", "/v1/predictions", upload.read(), dict(upload.headers))
        assert kept.sock
        answer, end = kept.getresponse(), kept.sock.getsockname()
        return answer, json.loads(answer.read()), end

    def until(status: int) -> tuple[http.client.HTTPResponse, dict[str, object], object]:
        """Repeat the request: the gateway notices the other connection and its end a moment later."""
        deadline = time.monotonic() + 60
        while (answered := post())[0].status != status:
            assert time.monotonic() < deadline, answered[0].status
            time.sleep(0.1)
        return answered

    announced = "content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000"
    with ExitStack() as others:
        for _ in range(_UPLOADS_OF_A_CLIENT):
            another = others.enter_context(socket.create_connection((kept.host, kept.port)))
            another.sendall(f"POST /v1/predictions HTTP/1.1\r\nhost: localhost\r\n{announced}\r\n\r\n".encode())
        _wait_for_uploads(service, _UPLOADS_OF_A_CLIENT)
        refused, problem, first = until(429)
    assert problem["code"] == "too_many_uploads"
    assert int(refused.headers["retry-after"]) >= 1
    _, _, second = until(200)
    assert second == first
    kept.close()


def _wait_for_uploads(service: Service, count: int) -> None:
    """Wait until the gateway receives so many uploads: a request before would be accepted, and outlast them."""
    deadline = time.monotonic() + 20
    while f"ich_uploads {count}.0\n" not in httpx.get(f"{service.url}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _wait_until_busy(process: int) -> None:
    before, deadline = cpu_s(process), time.monotonic() + 30
    while cpu_s(process) == before:
        assert time.monotonic() < deadline, "the request does not reach the process"
        time.sleep(0.005)


@pytest.mark.parametrize("stage", ["preprocess", "cnn", "rnn"])
def test_a_stage_killed_during_a_request_restarts_in_time_or_gives_502(service: Service, stage: str) -> None:
    files = series(40)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(_predict, service, files)
        _wait_until_busy(service.process("preprocess" if stage == "preprocess" else "cnn"))
        os.kill(service.process(stage), signal.SIGKILL)
        during = pending.result(60)
        right_after = _predict(service, files)

    for answer in (during, right_after):  # 200 where the stage is back within ICH_GATEWAY_STAGE_RETRY_S
        assert answer.status_code in (200, 502, 503), answer.text
        assert answer.is_success or int(answer.headers["retry-after"]) > 0
    metrics = httpx.get(f"{service.url}/metrics").text
    retried = re.search(rf'ich_stage_retries_total{{cause="(broken|refused)",stage="{stage}"}} [1-9]', metrics)
    assert retried or stage == "rnn"  # which may be back before the request needs it
    service.wait_until_ready(60)
    assert _predict(service, files).status_code == 200


def test_the_memory_of_the_gateway_is_bounded_during_a_long_series(service: Service) -> None:
    files = series(300)
    private = regions = 0
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(_predict, service, files)
        while not pending.done():
            shared = shared_memory_bytes(service.process("gateway"))
            regions = max(regions, shared)
            private = max(private, resident_bytes(service.process("gateway")) - shared)
            time.sleep(0.02)
    assert len(pending.result().json()["slices"]) == 300
    assert private < 200 * 1024**2
    assert regions <= 100 * 1024**2  # ICH_GATEWAY_MAX_SHARED_BYTES


def test_a_client_of_the_open_inference_protocol_can_use_the_networks(service: Service) -> None:
    card = open_bundle(ROOT / "models" / "default").card
    slices = np.zeros((2, 512, 512, 3), np.uint8)
    slices[1, 100:400, 100:400] = 90
    features = _ask(service, "cnn", {"slices": ("UINT8", slices)}, ["features"])[0]
    assert features.shape == (2, card.feature_size)

    positions = np.array([0, 5], np.float32)
    wanted = ["slice_probabilities", "series_probabilities"]
    scores, whole = _ask(service, "rnn", {"features": ("FP32", features), "position_mm": ("FP32", positions)}, wanted)
    assert scores.shape == (2, 6)
    assert whole.shape == (6,)
    assert ((scores >= 0) & (scores <= 1)).all()


def _ask(
    service: Service, model: str, inputs: dict[str, tuple[str, np.ndarray]], outputs: list[str]
) -> list[np.ndarray]:
    with triton.InferenceServerClient(f"127.0.0.1:{service.ports[model]}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(model)
        assert client.get_model_metadata(model)["name"] == model
        tensors = []
        for name, (datatype, array) in inputs.items():
            tensors.append(triton.InferInput(name, list(array.shape), datatype))
            tensors[-1].set_data_from_numpy(array)
        wanted = [triton.InferRequestedOutput(name) for name in outputs]
        answer = client.infer(model, tensors, outputs=wanted)
        with pytest.raises(triton.InferenceServerException, match="the tensor"):
            client.infer(model, [tensors[0]] if model == "rnn" else [_other(tensors[0])])
        return [answer.as_numpy(name) for name in outputs]


def test_tritonclient_passes_slices_and_features_through_shared_memory(service: Service) -> None:
    slices = np.random.default_rng(1).integers(0, 255, (2, 512, 512, 3), np.uint8)
    (expected,) = _ask(service, "cnn", {"slices": ("UINT8", slices)}, ["features"])
    with shared_folder(service.shared_memory_dir) as folder:
        file = create_region(folder, "5" * 32, 2 * slices.nbytes)
    region = map_region(file, 2 * slices.nbytes)
    region[: slices.nbytes] = slices.tobytes()
    with triton.InferenceServerClient(f"127.0.0.1:{service.ports['cnn']}") as client:
        client.register_system_shared_memory("mine", "/" + "5" * 32, len(region))
        sent = triton.InferInput("slices", list(slices.shape), "UINT8")
        sent.set_shared_memory("mine", slices.nbytes)
        wanted = triton.InferRequestedOutput("features")
        wanted.set_shared_memory("mine", expected.nbytes, offset=slices.nbytes)
        answer = client.infer("cnn", [sent], outputs=[wanted])
        assert client.get_system_shared_memory_status("mine")[0]["byte_size"] == len(region)
        client.unregister_system_shared_memory("mine")
    os.close(file)
    (service.shared_memory_dir / ("5" * 32)).unlink()
    assert answer.get_output("features")["parameters"]["shared_memory_region"] == "mine"
    received = np.frombuffer(region[slices.nbytes :][: expected.nbytes], np.float32).reshape(expected.shape)
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def _other(tensor: triton.InferInput) -> triton.InferInput:
    other = triton.InferInput("pixels", tensor.shape(), tensor.datatype())
    other.set_data_from_numpy(np.zeros(tensor.shape(), np.uint8))
    return other


def test_no_patient_or_file_name_is_in_logs_or_metrics(service: Service) -> None:
    canary = "Canary^Zebedee"
    good = {f"{canary}.dcm": ct_slice(PatientName=canary, PatientID=canary, StudyDescription=canary)}
    bad = {f"{canary}-cut.dcm": ct_slice(PatientName=canary)[:-5], f"{canary}.zip": b"PK\x03\x04" + bytes(50)}
    assert _predict(service, good).status_code == 200
    for name, data in bad.items():
        assert canary in _predict(service, {name: data}).json()["detail"]

    for name in NAMES:
        assert "Canary" not in httpx.get(f"http://127.0.0.1:{service.ports[name]}/metrics").text
    assert "Canary" not in service.log.read_text()
    assert '"route": "/v1/predictions"' in service.log.read_text()


def test_the_report_has_consistent_timings(service: Service, samples: Path) -> None:
    """`make bench` measures the speed."""
    data = {"slice.dcm": (samples / "slice.dcm").read_bytes()}
    timings = [_predict(service, data).json()["timings_ms"] for _ in range(5)]
    for each in timings:
        assert 0 < each["preprocess"] + each["cnn"] + each["rnn"] < each["total"]
    assert statistics.median(each["upload"] for each in timings) > 0
