"""Validators by others find no error in any result object, assessed or not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.pacs.conftest import Sent
from tests.pacs.results import KINDS_OF_ASSESSED, KINDS_OF_NOT_ASSESSED
from tests.pacs.site import Site
from tests.pacs.validators import INSTALL, attribute_lines, have_validators, template_lines, unknown

pytestmark = [pytest.mark.pacs, pytest.mark.timeout(400)]
_DOCUMENTS: Final = ("sr", "text_sr", "key_objects")
_NAMES: Final = [
    *(f"assessed-{kind}" for kind in KINDS_OF_ASSESSED),
    *(f"not-assessed-{kind}" for kind in KINDS_OF_NOT_ASSESSED),
]
Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(site: Site, sent: Sent, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The objects of an assessed series and of one that is not, as Orthanc gives them back."""
    assert have_validators(), f"the validators are not installed: {INSTALL}"
    site.wait_for_results(sent["storescu"], 120)
    site.wait_for_results(sent["abdomen"], 60, KINDS_OF_NOT_ASSESSED)
    folder, found = tmp_path_factory.mktemp("objects"), {}
    for name, way in (("assessed", "storescu"), ("not-assessed", "abdomen")):
        for kind, dataset in site.pacs.fetch(sent[way].study_uid):
            found[f"{name}-{kind}"] = folder / f"{name}-{kind}.dcm"
            dataset.save_as(found[f"{name}-{kind}"])
    return found


@pytest.mark.parametrize("name", _NAMES)
def test_dciodvfy_finds_no_error_and_no_warning(files: Files, name: str) -> None:
    assert attribute_lines(files[name]) == []


def test_the_templates_of_sr_documents_hold(files: Files) -> None:
    documents = [path for name, path in files.items() if name.endswith(_DOCUMENTS)]
    with ThreadPoolExecutor(2) as pool:
        for path, lines in zip(documents, pool.map(template_lines, documents), strict=True):
            assert unknown(lines) == [], path.name
