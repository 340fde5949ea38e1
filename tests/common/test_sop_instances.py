"""Files that share a SOPInstanceUID are copies or conflicts; frames of one file are neither."""

from hypothesis import given
from hypothesis import strategies as st

from services.common.schemas import SeriesHeader, SliceReference
from services.common.sop_instances import classify_shared_files, files_sharing_instances


def series(*items: SliceReference) -> SeriesHeader:
    return SeriesHeader(uid="1.2", study_uid="1", items=items, position_mm=(0.0,) * len(items))


def test_files_are_grouped_by_sop_instance_uid() -> None:
    uids = ["1.1", "1.2", "1.1", None, None, "", "", "1.1"]
    items = [SliceReference(file=file, sop_instance_uid=uid) for file, uid in enumerate(uids)]
    assert files_sharing_instances(series(*reversed(items))) == [[0, 2, 7]]


def test_frames_of_one_file_share_nothing() -> None:
    frames = [
        SliceReference(file=file, frame=frame, sop_instance_uid=f"1.{file}") for file in range(2) for frame in range(3)
    ]
    assert files_sharing_instances(series(*frames)) == []


@given(st.lists(st.tuples(st.sampled_from(["1.1", "1.2", None]), st.integers(0, 2)), max_size=9))
def test_every_file_is_kept_a_copy_or_in_conflict(files: list[tuple[str | None, int]]) -> None:
    items = [SliceReference(file=file, sop_instance_uid=uid) for file, (uid, _) in enumerate(files)]
    found = classify_shared_files(
        files_sharing_instances(series(*items)), lambda one, other: files[one] == files[other]
    )
    for first, later in (*found.copies, *found.conflicts):
        assert first < later
        assert files[first][0] == files[later][0]
    gone = {later for _, later in (*found.copies, *found.conflicts)}
    kept = [files[file] for file in range(len(files)) if file not in gone and files[file][0]]
    assert len(kept) == len({uid for uid, _ in kept})
    assert {uid for uid, _ in kept} == {uid for uid, _ in files if uid}
