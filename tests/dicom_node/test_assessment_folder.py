from datetime import UTC, datetime
from pathlib import Path

from services.dicom_node.assessment_folder import AssessmentContext, AssessmentFolder, SliceSource


def test_a_context_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = AssessmentFolder.of(tmp_path, 7)
    folder.path.mkdir(parents=True)
    context = AssessmentContext(
        seed="node-1-1",
        number=1,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        kinds=("sr", "segmentation"),
        header="instances/a/b.dcm",
        instances=("instances/a/b.dcm",),
        slices=(SliceSource(path="instances/a/b.dcm", sop_instance_uid="2.25.1", sop_class_uid="2.25.2", frame=3),),
        key_images=(0,),
        warnings=("a slice is missing",),
    )
    folder.write_context(context)
    assert folder.read_context() == context
    assert folder.context_file.stat().st_mode & 0o777 == 0o600
    assert folder.data_dir == tmp_path
    assert [path.name for path in folder.path.iterdir()] == ["context.json"]
