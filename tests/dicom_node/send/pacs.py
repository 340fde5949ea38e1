"""A PACS in this process: a storage SCP with storage commitment, which can refuse, abort and delay."""

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from services.dicom_node.peers import Peer
from services.dicom_node.requestor_messages import await_own_responses
from tests.dicom_node.send.built import SOP_CLASSES

Reporting = Literal["same", "other", "never", "unsupported"]


@dataclass
class Pacs:
    """State and behaviour. `store` answers the status of an instance; it may abort or block.

    reporting : on which association reports of commitment are sent
    missing : instances that a report lists as failed
    report_port : of the node, for reports on another association
    stalls : the PACS does not read before it is set
    """

    ae_title: str = "PACS"
    store: Callable[["Pacs", evt.Event], int] = lambda *_: 0x0000
    reporting: Reporting = "same"
    sop_classes: Sequence[str] = tuple(SOP_CLASSES.values())
    transfer_syntaxes: Sequence[str] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    missing: set[str] = field(default_factory=set)
    report_port: int = 0
    stalls: threading.Event | None = None
    port: int = 0
    stored: dict[str, list[bytes]] = field(default_factory=dict)
    associations: int = 0
    requests: list[Dataset] = field(default_factory=list)
    _latest: Association | None = None

    def peer(self, **options: object) -> Peer:
        """The PACS as a peer of the node, with all kinds."""
        values = {"name": "pacs", "ae_title": self.ae_title, "host": "127.0.0.1", "port": self.port}
        return Peer.model_validate({**values, "send": frozenset(SOP_CLASSES), **options})

    @contextmanager
    def running(self, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator["Pacs"]:
        """Serve until the context ends, by TLS where it has a context."""
        ae = AE(self.ae_title)
        ae.require_called_aet = True
        for uid in self.sop_classes:
            ae.add_supported_context(uid, list(self.transfer_syntaxes))
        if self.reporting != "unsupported":
            ae.add_supported_context(StorageCommitmentPushModel)
        handlers: list[Any] = [
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._action),
            (evt.EVT_DATA_RECV, self._read),
        ]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
        assert server
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()

    def report_latest(self) -> None:
        """Report the latest request on its association."""
        assert self._latest
        self._report(self._latest, self.result(self.requests[-1]))

    def _read(self, _: evt.Event) -> None:
        if self.stalls and self.associations:
            self.stalls.wait(30.0)

    def _accepted(self, _: evt.Event) -> None:
        self.associations += 1

    def _store(self, event: evt.Event) -> int:
        status = self.store(self, event)
        if status == 0x0000 or status >> 12 == 0xB:
            self.stored.setdefault(instance_uid(event), []).append(event.encoded_dataset(include_meta=False))
        return status

    def _action(self, event: evt.Event) -> tuple[int, None]:
        information = event.action_information
        self.requests.append(information)
        self._latest = event.assoc
        if self.reporting in ("same", "other"):
            threading.Thread(target=self._report, args=(event.assoc, self.result(information)), daemon=True).start()
        return 0x0000, None

    def result(self, information: Dataset) -> Dataset:
        """The information of the report that answers a request."""
        result = Dataset()
        result.TransactionUID = information.TransactionUID
        items = information.ReferencedSOPSequence
        done = [one for one in items if self._has(one)]
        if done:
            result.ReferencedSOPSequence = done
        failed = [one for one in items if not self._has(one)]
        for one in failed:
            one.FailureReason = 0x0112
        if failed:
            result.FailedSOPSequence = failed
        return result

    def _has(self, item: Dataset) -> bool:
        uid = item.ReferencedSOPInstanceUID
        return uid in self.stored and uid not in self.missing

    def _report(self, association: Association, result: Dataset) -> None:
        event_type = 2 if "FailedSOPSequence" in result else 1
        if self.reporting == "other":
            ae = AE(self.ae_title)
            ae.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            association = await_own_responses(
                ae.associate("127.0.0.1", self.report_port, ae_title="ICH", ext_neg=[role])
            )
        association.send_n_event_report(
            result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if self.reporting == "other":
            association.release()


def instance_uid(event: evt.Event) -> str:
    """The SOP instance UID of a C-STORE request."""
    return str(cast("C_STORE", event.request).AffectedSOPInstanceUID)


def sop_class_uid(event: evt.Event) -> str:
    """The SOP class UID of a C-STORE request."""
    return str(cast("C_STORE", event.request).AffectedSOPClassUID)
