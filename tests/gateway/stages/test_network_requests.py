from services.gateway.stages.network_requests import Features


def test_features_of_replicas_name_every_engine_once() -> None:
    engines = ("tensorflow 2", "openvino 1", None, "openvino 1")
    chunks = [Features(bytes(8), 2, "sha", engine) for engine in engines]
    joined = Features.concatenate(chunks)
    assert (len(joined.data), joined.engine) == (32, "openvino 1, tensorflow 2")
    assert [row.engine for row in joined.rows()] == ["openvino 1, tensorflow 2"] * 4
    assert Features.concatenate(chunks[2:3]).engine is None
