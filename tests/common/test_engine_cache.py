from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.common.engine_cache import MeasurementKey, read_measurement, write_measurement
from services.common.engine_measurement import CallTime, Measurement
from tests.bundles import fake_bundle

TIMES = (CallTime(wall_ms=1, core_ms=2),)
MEASURED = Measurement(difference=0.0, tensorflow=TIMES, openvino=TIMES)


@pytest.fixture
def key(tmp_path: Path) -> MeasurementKey:
    return MeasurementKey.current(fake_bundle(tmp_path / "bundle"), "cnn")


def test_replicas_that_write_at_once_leave_one_whole_file(tmp_path: Path, key: MeasurementKey) -> None:
    folder = tmp_path / "engines"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: write_measurement(folder, key, MEASURED), range(32)))
    assert [path.name for path in folder.iterdir()] == [key.file_name]
    assert read_measurement(folder, key) == MEASURED


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"key": {}}', b"[" * 100_000])
def test_a_damaged_file_counts_as_not_measured(tmp_path: Path, key: MeasurementKey, content: bytes) -> None:
    (tmp_path / key.file_name).write_bytes(content)
    assert read_measurement(tmp_path, key) is None


@pytest.mark.parametrize(
    "measurement",
    [
        '{"difference":0.0}',
        '{"difference":-1.0}',
        '{"difference":0.0,"tensorflow":[{"wall_ms":0,"core_ms":1}],"openvino":[{"wall_ms":1,"core_ms":1}]}',
        '{"difference":0.0,"tensorflow":[{"wall_ms":1,"core_ms":1}],"openvino":[]}',
    ],
)
def test_impossible_measurements_count_as_not_measured(tmp_path: Path, key: MeasurementKey, measurement: str) -> None:
    (tmp_path / key.file_name).write_text(f'{{"key":{key.model_dump_json()},"measurement":{measurement}}}')
    assert read_measurement(tmp_path, key) is None


@pytest.mark.parametrize(
    "change", [{"openvino": "1"}, {"cpu": "other"}, {"card_sha256": "0"}, {"cores": 99}, {"version": "0"}]
)
def test_a_measurement_holds_for_its_key_only(tmp_path: Path, key: MeasurementKey, change: dict[str, str]) -> None:
    write_measurement(tmp_path, key, MEASURED)
    other = key.model_copy(update=change)
    assert read_measurement(tmp_path, other) is None
    (tmp_path / other.file_name).write_bytes((tmp_path / key.file_name).read_bytes())
    assert read_measurement(tmp_path, other) is None


def test_a_folder_that_cannot_be_written_is_logged(
    tmp_path: Path, key: MeasurementKey, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    write_measurement(tmp_path / "file" / "engines", key, MEASURED)
    assert "engine_cache writable" in caplog.text
