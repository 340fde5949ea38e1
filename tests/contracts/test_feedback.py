"""Opinions on the reports of real stages, exported as a table and read by training's own code."""

from pathlib import Path

import pytest

from services.common.labels import LABELS
from tests.contracts.test_jobs import Batch, batch, gateway_settings, redis, series  # noqa: F401 - fixtures
from training.evaluate.labelled_files import of_slice, read_truth

pytestmark = pytest.mark.anyio


async def test_training_reads_the_export_as_labels(batch: Batch, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    address = await batch.send(series(0, 3, PatientID="one") | series(1, 2, PatientID="two"))
    await batch.work()
    report = await batch.get(f"{address}/series/0/report")
    given = [("any", "agree", None), ("subdural", "disagree", None), ("epidural", "uncertain", None)]
    for label, opinion, index in (*given, ("subdural", "disagree", 2)):
        body = {"label": label, "opinion": opinion, "slice": index}
        answer = await batch.chain.client.put(f"{address}/series/0/feedback", json=body)
        assert answer.status_code == 200, answer.text

    async def table(rows: str) -> Path:
        answer = await batch.chain.client.get("/v1/feedback", params={"rows": rows}, headers={"accept": "text/csv"})
        path = tmp_path / f"{rows}.csv"
        path.write_bytes(answer.content)
        return path

    uid, predicted = report["series"]["series_instance_uid"], report["series"]["predictions"]
    of_series = read_truth(await table("series"))
    labels = dict(zip(LABELS, of_series.rows[uid], strict=True))
    assert (of_series.key, set(of_series.rows)) == ("series_instance_uid", {uid})
    assert (labels["any"], labels["subdural"], labels["epidural"]) == (
        predicted["any"],
        not predicted["subdural"],
        None,
    )
    assert list(of_series.patients) == [uid], "intervals resample whole patients"
    last = report["slices"][2]
    found = of_slice(read_truth(await table("slices")), last["sop_instance_uid"], last["file"])
    assert found is not None
    assert dict(zip(LABELS, found[1], strict=True))["subdural"] is not last["predictions"]["subdural"]
