import pytest
from pydantic import ValidationError

from services.gateway.settings import Settings
from services.gateway.storage_url import checked_storage_url


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/prefix", "gs://bucket", "az://container", "memory://x"])
def test_a_url_of_an_object_storage_is_taken(url: str) -> None:
    assert checked_storage_url(url) == url


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("file:///srv/jobs", "ICH_GATEWAY_JOBS_DIR"),
        ("local:///srv/jobs", "ICH_GATEWAY_JOBS_DIR"),
        ("/srv/jobs", "scheme is missing"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://key:hidden@bucket", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket?secret=hidden", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_another_url_stops_the_start_by_name_and_is_not_shown(url: str, named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(jobs_url=url)
    assert named in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_an_empty_url_is_none() -> None:
    assert Settings(jobs_url="").jobs_url is None
