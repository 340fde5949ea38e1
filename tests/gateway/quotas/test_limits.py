from pathlib import Path

import pytest

from services.gateway.quotas.limits import Limits, SenderLimits
from services.gateway.settings import Settings


def test_a_sender_has_the_limits_of_the_file_or_else_the_sites(tmp_path: Path) -> None:
    file = tmp_path / "quotas.toml"
    file.write_text('[senders.modality-1]\njobs = 200\nseries = "none"\n')
    limits = Limits.read(Settings(quota_jobs=10, quota_series=50, quota_bytes=1000, quota_file=file))
    assert limits.of("modality-1") == SenderLimits(jobs=200, bytes=1000)
    assert limits.of("ann") == SenderLimits(jobs=10, bytes=1000, series=50)
    assert not limits.rates


def test_without_settings_there_are_no_limits() -> None:
    limits = Limits.read(Settings())
    assert limits.of("ann") == SenderLimits()
    assert not limits.of("ann").of_jobs


def test_a_rate_of_one_sender_is_a_rate(tmp_path: Path) -> None:
    file = tmp_path / "quotas.toml"
    file.write_text("[senders.ann]\nrequests_per_minute = 60\n")
    assert Limits.read(Settings(quota_file=file)).rates


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[sender.ann]\njobs = 1", r"the only tables are \[senders.ID\]"),
        ("[senders.ann]\njob = 1", "ann: there is no limit job"),
        ("[senders.ann]\njobs = 0", "ann: jobs must be a number of 1 or more"),
        ("[senders.ann]\njobs = true", "ann: jobs must be a number of 1 or more"),
        ('[senders."a b"]\njobs = 1', "'a b' must be the id of a sender"),
        ("senders = 1", "the only tables"),
        ("[senders", "quotas.toml: "),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "quotas.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=fault):
        Limits.read(Settings(quota_file=file))
