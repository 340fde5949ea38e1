"""Takes tickets from the queue in the test's own process, as RQ's worker does in another."""

from redis import Redis
from rq.job import Job as QueuedCall
from rq.serializers import JSONSerializer

from services.gateway.jobs.lane_state import Lane
from services.gateway.jobs.scheduler import FairScheduler
from services.gateway.jobs.schemas import PRIORITIES, Priority


class QueueWorker:
    """A worker of one scheduler."""

    def __init__(self, scheduler: FairScheduler, redis: Redis) -> None:
        self.scheduler = scheduler
        self.redis = redis

    def pop(self, priorities: tuple[Priority, ...] = PRIORITIES) -> tuple[Lane, str] | None:
        """The next ticket of these priorities."""
        for priority in priorities:
            if ticket := self.redis.lpop(self.scheduler.queue(priority).key):
                assert isinstance(ticket, bytes)
                call = QueuedCall.fetch(ticket.decode(), connection=self.redis, serializer=JSONSerializer)
                return Lane(*call.args[:3]), call.args[3]
        return None

    def take(self, *priorities: Priority) -> tuple[Lane, str]:
        """The next ticket, which must exist."""
        found = self.pop(priorities or PRIORITIES)
        assert found
        return found
