"""An archive in this process, which serves a study by QIDO-RS and WADO-RS, or by C-FIND and C-MOVE."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from services.dicom_node.peers import Peer
from services.dicom_node.query.peer_query import INSTANCE_KEYS, SERIES_KEYS
from tests.dicom_node.receive.stow_client import CONTENT_TYPE, multipart
from tests.dicom_node.web_peer import WebAnswer, WebRequest, answering


@dataclass
class Archive:
    """Files by series; `hidden` keywords are not answered to queries.

    node_port : of the node, the destination of C-MOVE
    broken : series whose retrieval fails: the body ends early, or each second instance is not moved
    """

    series: Mapping[str, Sequence[bytes]]
    hidden: Sequence[str] = ()
    node_port: int = 0
    broken: set[str] = field(default_factory=set)
    is_down: bool = False
    retrieved: list[str] = field(default_factory=list)
    port: int = 0

    def headers(self, uid: str) -> list[Dataset]:
        """The data sets of a series without pixels."""
        return [dcmread(BytesIO(content), stop_before_pixels=True) for content in self.series[uid]]

    def found_series(self) -> Iterator[Dataset]:
        """Answers at the level of series."""
        for uid in self.series:
            answer = self._answer(self.headers(uid)[0], SERIES_KEYS)
            if "NumberOfSeriesRelatedInstances" not in self.hidden:
                answer.NumberOfSeriesRelatedInstances = len(self.series[uid])
            yield answer

    def found_instances(self, uid: str) -> Iterator[Dataset]:
        """Answers at the level of instances."""
        return (self._answer(header, (*INSTANCE_KEYS, "SeriesInstanceUID")) for header in self.headers(uid))

    def _answer(self, header: Dataset, keywords: Sequence[str]) -> Dataset:
        answer = Dataset()
        for keyword in keywords:
            if keyword not in self.hidden and header.get(keyword) is not None:
                setattr(answer, keyword, header.get(keyword))
        return answer

    @contextmanager
    def web(self) -> Iterator[Peer]:
        """Serve DICOMweb."""
        with answering(self._web) as server:
            yield Peer.model_validate({"name": "archive", "dicom_web_url": f"{server.url}/dicom-web", "count": True})

    def _web(self, request: WebRequest) -> WebAnswer:
        if self.is_down:
            return WebAnswer(503)
        parts = urlsplit(request.path).path.strip("/").split("/")
        if parts[2] != "2.25.1":
            return WebAnswer(204)
        if parts[-1] == "instances":
            found = list(self.found_instances(parts[-2]))[: int(parse_qs(urlsplit(request.path).query)["limit"][0])]
            return WebAnswer(200, json.dumps([_json(one) for one in found]).encode())
        if parts[-1] == "series":
            return WebAnswer(200, json.dumps([_json(one) for one in self.found_series()]).encode())
        return self._wado(parts[-1])

    def _wado(self, uid: str) -> WebAnswer:
        self.retrieved.append(uid)
        body = multipart(self.series[uid])
        return WebAnswer(200, body[: len(body) // 2] if uid in self.broken else body, CONTENT_TYPE)

    @contextmanager
    def dimse(self) -> Iterator[Peer]:
        """Serve C-FIND and C-MOVE."""
        ae = AE("ARCHIVE")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_requested_context(CTImageStorage)
        handlers: list[Any] = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server
        port = server.server_address[1]
        try:
            yield Peer.model_validate({"name": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port})
        finally:
            server.shutdown()

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        wanted = event.identifier
        if wanted.StudyInstanceUID != "2.25.1":
            return
        at_series = wanted.QueryRetrieveLevel == "SERIES"
        for one in self.found_series() if at_series else self.found_instances(wanted.SeriesInstanceUID):
            one.QueryRetrieveLevel = wanted.QueryRetrieveLevel
            yield 0xFF00, one

    def _move(self, event: evt.Event) -> Iterator[Any]:
        uid = event.identifier.SeriesInstanceUID
        self.retrieved.append(uid)
        files = self.series[uid][:: 2 if uid in self.broken else 1]
        yield ("127.0.0.1", self.node_port)
        yield len(files)
        for content in files:
            yield 0xFF00, dcmread(BytesIO(content))


def _json(answer: Dataset) -> dict[str, Any]:
    return {
        f"{int(element.tag):08X}": {
            "vr": element.VR,
            "Value": list(element.value) if isinstance(element.value, MultiValue) else [element.value],
        }
        for element in answer
    }
