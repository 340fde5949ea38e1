"""Metrics of identities: refused tokens, and the age of the provider's signing keys."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.common.identity.authentication import Identity


class IdentityMetrics(Collector):
    """Collects the metrics at each scrape; those of tokens where the site accepts tokens."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def collect(self) -> Iterator[Metric]:
        """Broken changes of the file of keys; refused tokens by cause; fetches of signing keys, and their age."""
        if self._identity.keys.required:
            broken = "Changes of the file of API keys that could not be read"
            yield CounterMetricFamily("ich_key_file_errors", broken, self._identity.keys.file_errors)
        tokens = self._identity.tokens
        if tokens is None:
            return
        refused = CounterMetricFamily("ich_tokens_refused", "Access tokens answered with 401", labels=["cause"])
        for cause, count in sorted(tokens.refused.items()):
            refused.add_metric([cause], count)
        yield refused
        fetches = CounterMetricFamily("ich_oidc_fetches", "Fetches of the provider's signing keys", labels=["result"])
        fetches.add_metric(["ok"], tokens.keys.fetched)
        fetches.add_metric(["failed"], tokens.keys.failed)
        yield fetches
        usable = "1 where the provider's signing keys are recent enough to verify tokens, else 0"
        yield GaugeMetricFamily("ich_oidc_keys_usable", usable, int(tokens.keys.usable))
        if (age_s := tokens.keys.age_s) is not None:
            yield GaugeMetricFamily("ich_oidc_keys_age_seconds", "Seconds since the provider last answered", age_s)
