"""Turns headers into rows of the index, with the order and positions that the services compute."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from services.preprocess.header import DicomHeader
from services.preprocess.modality_lut import stored_pixel_format
from services.preprocess.series import group_into_series
from training.rsna.headers import GEOMETRY_REASONS
from training.rsna.index_blocks import HEADERS

Row = dict[str, Any]

SCHEMA: Final = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("file", "split", "sop_instance_uid", "patient_id", "study_uid", "series_uid")
        ),
        *((name, pa.int32()) for name in ("rows", "columns", "bits_stored", "pixel_representation")),
        *((name, pa.float64()) for name in ("rescale_slope", "rescale_intercept")),
        ("intercept_repaired", pa.bool_()),
        *((name, pa.float64()) for name in ("row_spacing_mm", "column_spacing_mm", "slice_thickness_mm")),
        ("position_mm", pa.float64()),
        ("order", pa.int32()),
        ("reason", pa.string()),
    ]
)


def order_bucket(blocks: Sequence[str], bucket: int) -> Any:
    """Return the rows of all series in one bucket of the blocks, by the blocks' paths."""
    kept = ds.dataset(blocks, format="parquet").to_table(filter=ds.field("bucket") == bucket)
    rows = kept.sort_by("file").to_pylist()
    headers = [HEADERS.validate_json(row["header"]) if row["header"] else None for row in rows]
    found = [_row(row, header) for row, header in zip(rows, headers, strict=True)]
    _order(found, headers)
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _order(rows: Sequence[Row], headers: Sequence[DicomHeader | None]) -> None:
    """Set each row's position and order, or the reason why it belongs to no series."""
    used = [number for number, row in enumerate(rows) if row["reason"] is None]
    report = group_into_series([header for number in used if (header := headers[number])])
    for series in report.series:
        if refusal := next((item.code for item in series.reasons if item.code in GEOMETRY_REASONS), None):
            for item in series.items:
                rows[used[item.file]]["reason"] = refusal
            continue
        for order, (item, position_mm) in enumerate(zip(series.items, series.position_mm, strict=True)):
            rows[used[item.file]].update(order=order, position_mm=position_mm)
    for aside in report.set_aside:
        rows[used[aside.file]]["reason"] = aside.code


def _row(read: Row, header: DicomHeader | None) -> Row:
    row = {name: read[name] for name in ("file", "split", "patient_id", "reason")}
    return row | (_header_columns(header) if header else {})


def _header_columns(header: DicomHeader) -> Row:
    frame = header.frames[0]
    return {
        "sop_instance_uid": header.sop_instance_uid,
        "study_uid": header.study_instance_uid,
        "series_uid": header.series_instance_uid,
        "rows": header.rows,
        "columns": header.columns,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "rescale_slope": frame.rescale_slope,
        "rescale_intercept": frame.rescale_intercept,
        "intercept_repaired": stored_pixel_format(header, 0).faulty_intercept,
        "row_spacing_mm": frame.row_spacing_mm,
        "column_spacing_mm": frame.column_spacing_mm,
        "slice_thickness_mm": header.frames[0].slice_thickness_mm,
    }
