"""The version of the software, stated here only: pyproject.toml, `/livez`, OpenAPI and reports read it."""

from typing import Final

VERSION: Final = "0.7.0"
