"""The deliveries of one destination, and the rules of their retries."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import uniform

from services.common.retry_policy import RetryPolicy
from services.dicom_node.registry.deliveries import Deliveries
from services.dicom_node.registry.delivery import Delivery
from services.dicom_node.send.outcomes import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SendRules:
    """Limits and times of deliveries.

    retry : its `give_up_s` counts from the first attempt; until then no failure but a refusal ends it
    max_refusals : permanent answers of a destination after which it is given up
    report_s : time in which a destination reports commitment, before it is asked again
    wait_s : time that an association is held for the report
    """

    retry: RetryPolicy
    max_refusals: int
    report_s: float
    wait_s: float

    def delay_s(self, attempts: int) -> float:
        """Seconds to wait after this number of attempts, with jitter: destinations that return are not flooded."""
        return self.retry.delay_s(max(attempts, 1)) * uniform(0.75, 1.25)  # noqa: S311 - no secret


class DeliveryQueue:
    """What is due at one destination, and the consequence of each outcome.

    Parameters
    ----------
    fhir : whether it is the queue of FHIR bundles, in place of the one of DICOM objects
    """

    def __init__(self, destination: str, deliveries: Deliveries, rules: SendRules, *, fhir: bool = False) -> None:
        self.destination, self.rules = destination, rules
        self._name = destination, fhir
        self._deliveries = deliveries

    def pending(self) -> tuple[Delivery, ...]:
        """Due objects of one assessment."""
        return self._deliveries.due(self._name, self._deliveries.now_s())

    def unconfirmed(self) -> tuple[Delivery, ...]:
        """Sent objects whose destination is to be asked."""
        return self._deliveries.unconfirmed(self._name, self._deliveries.now_s())

    def idle_s(self) -> float | None:
        """Seconds until the next one is due; None where there is none."""
        moment = self._deliveries.next_moment(self._name)
        return None if moment is None else max(0.0, moment - self._deliveries.now_s())

    def traceparent(self, delivery: Delivery) -> str | None:
        """The trace of a delivery's assessment; None while traces are off."""
        return self._deliveries.traceparent(delivery.assessment)

    def begin(self, delivery: Delivery) -> bool:
        """Count an attempt; False where the object must not be sent any more."""
        return self._deliveries.begin(delivery.id, self._deliveries.now_s() + self.rules.delay_s(delivery.attempts + 1))

    def record(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note the outcome of a begun attempt to send an object."""
        if outcome.result == "sent":
            self._deliveries.mark_sent(delivery.id, outcome.code, self._deliveries.now_s())
            return
        fields = {"destination": self.destination, "kind": delivery.kind, "code": outcome.code}
        log.warning("a result object is not delivered", extra={"fields": fields})
        if outcome.result == "refused":
            self._deliveries.mark_refused(delivery.id, outcome.code)
        if self._is_given_up(delivery, outcome):
            log.error("a result object is given up", extra={"fields": fields})
            self._deliveries.mark_dead([delivery.id], outcome.code)
        else:
            self._deliveries.mark_failed([delivery.id], outcome.code)

    def _is_given_up(self, delivery: Delivery, outcome: Outcome) -> bool:
        refused = outcome.result == "refused" and delivery.refusals + 1 >= self.rules.max_refusals
        return refused or self._is_too_old(delivery)

    def note_unavailable(self, code: str) -> None:
        """Note that the destination could not be asked at all, and give up what has waited for longer than patience."""
        self._deliveries.note_unavailable(self._name, code)
        before = self._deliveries.now_s() - self.rules.retry.give_up_s
        if number := self._deliveries.give_up_before(self._name, before, code):
            fields = {"destination": self.destination, "objects": number, "code": code}
            log.error("result objects are given up: send_patience_s has passed", extra={"fields": fields})

    def request(self, batch: Sequence[Delivery], transaction_uid: str) -> None:
        """Note a request of commitment before it is made."""
        wait = max(self.rules.report_s, self.rules.delay_s(max(delivery.attempts for delivery in batch) + 1))
        ids = [delivery.id for delivery in batch]
        self._deliveries.note_request(self.destination, transaction_uid, ids, self._deliveries.now_s() + wait)

    def note_unconfirmed(self, batch: Sequence[Delivery], code: str) -> None:
        """Note that the destination does not answer a request to confirm; it is asked again."""
        fields = {"destination": self.destination, "objects": len(batch), "code": code}
        log.warning("sent result objects are not confirmed", extra={"fields": fields})
        for delivery in batch:
            if self._is_too_old(delivery):
                self._deliveries.mark_dead([delivery.id], code)
            else:
                moment = self._deliveries.now_s() + self.rules.delay_s(delivery.attempts + 1)
                self._deliveries.mark_failed([delivery.id], code, moment)

    def confirm(self, batch: Sequence[Delivery]) -> None:
        """Note that the destination has these objects, and is responsible for them."""
        self._deliveries.mark_committed([delivery.id for delivery in batch])

    def send_again(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note that the destination does not have a sent object, or does not commit it."""
        moment = self._deliveries.now_s() + self.rules.delay_s(delivery.attempts)
        self._deliveries.send_again([delivery.id], outcome.code, moment)
        self.record(delivery, outcome)

    def _is_too_old(self, delivery: Delivery) -> bool:
        since_s = self._deliveries.now_s() if delivery.since_s is None else delivery.since_s
        return self._deliveries.now_s() - since_s > self.rules.retry.give_up_s
