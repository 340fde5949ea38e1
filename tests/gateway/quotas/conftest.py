from tests.gateway.jobs.conftest import redis, redis_process, store

__all__ = ["redis", "redis_process", "store"]
