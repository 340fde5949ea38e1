from pathlib import Path

import pytest

from tests.scans import series, zipped
from training.evaluate.labelled_files import of_slice, read_truth, site_files
from training.io.errors import TrainingError

HEAD = "any,epidural,intraparenchymal,intraventricular,subarachnoid,subdural"


def _table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_a_folder_and_a_zip_hold_the_same(tmp_path: Path) -> None:
    files = series(2)
    (tmp_path / "study").mkdir()
    for name, data in files.items():
        (tmp_path / "study" / name).write_bytes(data)
    (tmp_path / "study.zip").write_bytes(zipped(files))
    one, two = site_files(tmp_path / "study"), site_files(tmp_path / "study.zip")
    assert [(each.name, each.size, each.read(None)) for each in one] == [
        (each.name, each.size, each.read(None)) for each in two
    ]
    assert one[0].read(10) == files["000.dcm"][:10]


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="neither"):
        site_files(_table(tmp_path, "x"))


def test_empty_is_unknown_and_a_missing_column_too(tmp_path: Path) -> None:
    truth = read_truth(_table(tmp_path, "sop_instance_uid,any,subdural,patient\n1.2,1,,p\n1.3,0,0,\n"))
    assert of_slice(truth, "1.2", "x.dcm") == ("1.2", (True, None, None, None, None, None))
    assert of_slice(truth, "1.3", "x.dcm") == ("1.3", (False, None, None, None, None, False))
    assert of_slice(truth, "1.4", "x.dcm") is None
    assert truth.patients == {"1.2": "p"}


@pytest.mark.parametrize(
    ("columns", "values", "any_"),
    [
        ("any", "1", True),
        ("any", "0", False),
        ("any,subdural", ",1", True),
        ("any,subdural", ",0", None),
        ("subdural", "1", True),
        ("subdural", "0", None),
        (HEAD, ",0,0,0,0,0", False),
        (HEAD, ",0,0,,0,0", None),
        (HEAD, ",,,,1,", True),
        (HEAD, "1,0,0,0,0,0", True),
    ],
)
def test_any_follows_from_its_subtypes_where_they_tell_it(
    tmp_path: Path,
    columns: str,
    values: str,
    any_: bool | None,  # noqa: FBT001 - parametrised
) -> None:
    truth = read_truth(_table(tmp_path, f"file,{columns}\na.dcm,{values}\n"))
    assert truth.rows["a.dcm"][0] is any_


def test_a_file_is_found_by_path_or_name(tmp_path: Path) -> None:
    truth = read_truth(_table(tmp_path, f"file,{HEAD}\na/1.dcm,1,0,0,0,0,1\n2.dcm,0,0,0,0,0,0\n"))
    assert of_slice(truth, None, "a/1.dcm") is not None
    assert of_slice(truth, None, "b/2.dcm") is not None
    assert of_slice(truth, None, "b/1.dcm") is None


def test_rows_of_series_say_nothing_of_a_slice(tmp_path: Path) -> None:
    truth = read_truth(_table(tmp_path, f"series_instance_uid,{HEAD}\n2.25.10,1,0,0,0,0,1\n"))
    assert of_slice(truth, "2.25.10", "x") is None
    assert truth.rows["2.25.10"][5] is True


def test_the_challenges_own_table_is_taken(tmp_path: Path) -> None:
    rows = "".join(f"ID_a_{label},{int(label == 'subdural')}\n" for label in HEAD.split(","))
    truth = read_truth(_table(tmp_path, "ID,Label\n" + rows))
    assert of_slice(truth, None, "stage_2_train/ID_a.dcm") == ("ID_a", (False,) * 5 + (True,))


@pytest.mark.parametrize("text", ["", "name,any\na,1\n", "file,bleed\na,1\n", "file,any\na,maybe\n"])
def test_a_table_of_no_use_ends_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(TrainingError):
        read_truth(_table(tmp_path, text))
