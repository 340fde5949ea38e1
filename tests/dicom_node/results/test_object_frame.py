"""Identity, equipment, series and times of result objects."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from pydicom import Dataset

from services.common.version import VERSION
from services.dicom_node.kinds import KINDS
from services.dicom_node.results.context import ResultContext
from services.dicom_node.results.object_frame import created_at, finish_object, instance_uid, series_number, series_uid
from services.dicom_node.software import SOFTWARE


def document() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    return made


def test_an_object_states_its_maker_by_which_the_node_recognizes_it(assessed: ResultContext) -> None:
    made = document()
    finish_object(replace(assessed, device_serial_number="node-7"), "text_sr", made)
    assert (made.ManufacturerModelName, made.SoftwareVersions, made.DeviceSerialNumber) == (SOFTWARE, VERSION, "node-7")


def test_times_are_those_of_the_assessment(assessed: ResultContext) -> None:
    made, header = document(), deepcopy(assessed.header)
    header.TimezoneOffsetFromUTC = "-0330"
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    finish_object(replace(assessed, created=created, header=header), "text_sr", made)
    assert (made.ContentDate, made.ContentTime, made.TimezoneOffsetFromUTC) == ("20260101", "233405", "-0330")
    assert (made.SeriesDate, made.InstanceCreationTime) == ("20260101", "233405")


@pytest.mark.parametrize("offset", ["", "abc", "+99", "99999"])
def test_a_malformed_offset_counts_as_none(assessed: ResultContext, offset: str) -> None:
    header = deepcopy(assessed.header)
    header.TimezoneOffsetFromUTC = offset
    assert created_at(replace(assessed, header=header)) == assessed.created


def test_kinds_assessments_and_nodes_have_uids_of_their_own(assessed: ResultContext) -> None:
    contexts = [assessed, replace(assessed, seed="another")]
    uids = [make(one, kind) for one in contexts for kind in KINDS for make in (series_uid, instance_uid)]
    uids += [instance_uid(assessed, "segmentation", 2)]
    assert len(set(uids)) == len(uids)
    assert len({series_number(assessed, kind) for kind in KINDS}) == len(KINDS)
    assert series_number(replace(assessed, first_series_number=500), KINDS[0]) == 500
