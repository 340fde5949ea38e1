"""Traces are off by default, and then cost nothing; OTEL_* switches them on."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from services.common.tracing import UnsupportedTracing, wants_traces

_MODULES = """
import sys
import services.gateway.app, services.gateway.jobs.worker, services.preprocess.app, services.cnn.app, services.rnn.app
import services.dicom_node.app
from services.common.tracing import configure_tracing, current_trace_id, exemplar, is_tracing, span, trace_headers
configure_tracing("gateway")
with span("x", "server"):
    assert (current_trace_id(), exemplar(), trace_headers(), is_tracing()) == (None, None, {}, False)
parts = {"opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf"}
print(sorted(parts & {name for name, module in sys.modules.items() if module}))
"""


def test_no_sdk_is_imported_while_traces_are_off() -> None:
    """FastAPI imports the API package itself."""
    environment = {"PATH": "", "OTEL_SERVICE_NAME": "x", "OTEL_TRACES_EXPORTER": ""}
    found = subprocess.run(
        [sys.executable, "-c", _MODULES], check=False, env=environment, capture_output=True, text=True
    )
    assert (found.stdout, found.returncode) == ("[]\n", 0), found.stderr


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_usual_variables_switch_traces_on(environment: Mapping[str, str], *, wanted: bool) -> None:
    assert wants_traces(environment) == wanted


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "console"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
    ],
)
def test_another_exporter_or_protocol_stops_the_start(environment: Mapping[str, str]) -> None:
    with pytest.raises(UnsupportedTracing, match="set it to"):
        wants_traces(environment)
