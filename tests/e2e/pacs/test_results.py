"""Series that reach the node by each way: the same numbers as a prediction, as result objects in Orthanc."""

import pytest

from tests.e2e.pacs.conftest import Sent
from tests.pacs.site import Site

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(600)]
WAYS = ("storescu", "stow", "stow_by_orthanc", "route", "pull_by_web", "pull_by_move")


@pytest.mark.parametrize("way", WAYS)
def test_orthanc_gets_one_object_of_each_kind(site: Site, sent: Sent, way: str) -> None:
    site.wait_for_results(sent[way], site.complete_s + 20 * len(WAYS))
    site.wait_for_step(sent[way], ("committed",), 30)
    assert site.steps(sent[way]) == ["committed"]
