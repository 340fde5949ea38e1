"""Every file of the corpus gets a report or a refusal, and never a 5xx."""

import warnings
from collections import Counter

import pytest

from tests.contracts.conftest import Chain
from tests.preprocess.corpus import IN_THE_WHEEL, files_under, relabelled
from tests.preprocess.generated_files import generated

pytestmark = pytest.mark.anyio


@pytest.mark.filterwarnings("ignore")  # pydicom warns of the unusual files of the corpus
async def test_every_file_is_assessed_or_refused(chain: Chain) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = files_under(IN_THE_WHEEL)
        entries = [*generated(), *files, *relabelled(files)]
    found: Counter[str] = Counter()
    for entry in entries:
        answer = await chain.predict({"file.dcm": entry.data})
        document = answer.json()
        fate = document["status"] if answer.status_code == 200 else document["code"]
        found[f"{answer.status_code} {fate}"] += 1
        assert answer.status_code in (200, 413, 415, 422), (entry.name, fate)
        assert answer.status_code != 200 or document["reasons"] or document["series"]["probabilities"], entry.name
    print(found)
    assert found["200 assessed"] > 50
    assert found["200 not_assessed"] > 10
    assert found["422 unusable_upload"] + found["422 unusable_files"] > 50
