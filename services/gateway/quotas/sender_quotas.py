"""All quotas and rate limits of a gateway, by its settings."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from redis import Redis

from services.common.identity.authentication import Admit
from services.gateway.jobs.connection import connect_async_redis
from services.gateway.jobs.store import JobStore
from services.gateway.quotas.admission import RateAdmission
from services.gateway.quotas.job_quotas import JobQuotas
from services.gateway.quotas.limits import Limits
from services.gateway.quotas.rate_limiter import RateLimiter
from services.gateway.quotas.refusals import QuotaMetrics, Refusals
from services.gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class SenderQuotas:
    """Quotas of jobs, and the admission of requests where a sender has a rate limit."""

    jobs: JobQuotas
    limiter: RateLimiter | None
    admit: Admit | None

    @classmethod
    def create(cls, settings: Settings, redis: Redis, store: JobStore, registry: CollectorRegistry) -> "SenderQuotas":
        """The limits of a site's settings; the registry gets their metrics."""
        limits, refused = Limits.read(settings), Refusals()
        limiter = RateLimiter(connect_async_redis(settings)) if limits.rates else None
        registry.register(QuotaMetrics(refused, limiter))
        admission = RateAdmission(limits, limiter, refused) if limiter else None
        return cls(JobQuotas(limits, redis, store, refused), limiter, admission.admit if admission else None)

    async def close(self) -> None:
        """Close the connections of the rate limits."""
        if self.limiter:
            await self.limiter.close()
