import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from services.common.settings import ServiceSettings


class Example(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ICH_EXAMPLE_")
    threads: int = 1


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICH_EXAMPLE_THREADS", "3")
    assert Example.read().threads == 3


@pytest.mark.parametrize(("name", "value"), [("ICH_EXAMPLE_TREADS", "3"), ("ICH_EXAMPLE_THREADS", "many")])
def test_a_misspelt_name_or_value_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=r"TREADS|threads"):
        Example.read()


def test_settings_of_another_service_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICH_OTHER_THREADS", "3")
    assert Example.read().threads == 1
