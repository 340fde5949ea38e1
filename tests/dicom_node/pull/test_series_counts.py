from services.dicom_node.pull.series_counts import SeriesCounts
from services.dicom_node.settings import Settings
from tests.dicom_node.pull.archive import Archive
from tests.dicom_node.registries import Node
from tests.scans import ct_slice


def test_a_number_counts_once_two_answers_are_equal(node: Node) -> None:
    """The archive may be receiving the series, too."""
    node.receive_series([1, 2], series_instance_uid="2.25.10")
    files = [ct_slice(index) for index in range(3)]
    archive = Archive({"2.25.10": files[:2]})
    with archive.web() as peer:
        counts = SeriesCounts(Settings(), {"archive": peer}, node.registry.database, node.registry.inbox)
        counts.ask()
        archive.series = {"2.25.10": files}
        counts.ask()
        assert node.rows("SELECT expected FROM series") == [(None,)]
        counts.ask()
        assert node.rows("SELECT expected FROM series") == [(3,)]
        archive.is_down = True
        counts.ask()
    assert node.rows("SELECT expected FROM series") == [(3,)]
