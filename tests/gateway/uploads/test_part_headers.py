import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.problems import BadRequest
from services.gateway.uploads.part_headers import PartHeaders, parse_part_headers


def _read(disposition: str, **headers: str) -> PartHeaders:
    others = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return parse_part_headers({b"content-disposition": disposition.encode(), **others})


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('filename="a.dcm"', "a.dcm"),
        ('filename="Schädel.dcm"', "Schädel.dcm"),
        ("filename*=utf-8''Sch%C3%A4del%2001.dcm", "Schädel 01.dcm"),
        ("filename*=\"utf-8''Sch%C3%A4del.dcm\"", "Schädel.dcm"),
        ("FileName*=UTF-8'de'Sch%C3%A4del.dcm", "Schädel.dcm"),
        ("filename*=iso-8859-1''Sch%E4del.dcm", "Schädel.dcm"),
        ("filename=\"plain.dcm\"; filename*=utf-8''Sch%C3%A4del.dcm", "Schädel.dcm"),
        ('filename*0="two "; filename*1="pieces.dcm"', "two pieces.dcm"),
        ("filename*0*=utf-8''Sch%C3%A4; filename*1=\"del.dcm\"", "Schädel.dcm"),
        ("filename*=utf-8''%FF.dcm", "\ufffd.dcm"),
        ("filename*=none-such''a.dcm", "a.dcm"),
        ("filename*=idna''a.dcm", "a.dcm"),
        ("filename*=no-quotes.dcm", "no-quotes.dcm"),
        ('filename="a*b.dcm"', "a*b.dcm"),
        ('filename=""', ""),
        ("other=x", None),
    ],
)
def test_a_name_is_read_in_every_spelling(parameters: str, name: str | None) -> None:
    assert _read(f'form-data; name="files"; {parameters}') == PartHeaders("files", name)


@pytest.mark.parametrize("name", ["a;b;c.dcm" + ";" * 100, ";" * 251 + ".dcm"])
def test_semicolons_in_a_quoted_name_are_no_parameters(name: str) -> None:
    assert _read(f'form-data; name="files"; filename="{name}"').filename == name


@pytest.mark.parametrize("name", [f'"{";" * 400}.dcm"', f'"{";" * 400}.dcm', "a" + ";" * 20])
def test_a_name_of_too_many_semicolons_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        _read(f'form-data; name="files"; filename={name}')
    assert "semicolons of a file name" in refused.value.detail


@given(st.binary(max_size=80), st.sampled_from([b"filename*=", b"filename*0*=", b"filename=", b"name*="]))
def test_every_header_is_read_and_every_name_can_be_sent_back(value: bytes, parameter: bytes) -> None:
    head = parse_part_headers({b"content-disposition": b"form-data; " + parameter + value})
    assert (head.filename or "").encode() is not None


@pytest.mark.parametrize(
    ("header", "value", "plain"),
    [
        ("content_transfer_encoding", "binary", True),
        ("content_transfer_encoding", "8BIT", True),
        ("content_transfer_encoding", "base64", False),
        ("content_transfer_encoding", "Quoted-Printable", False),
        ("content_encoding", "identity", True),
        ("content_encoding", "gzip", False),
        ("content_type", "application/dicom", True),
        ("content_type", "multipart/mixed; boundary=inner", False),
    ],
)
def test_encoded_data_are_recognized(header: str, value: str, plain: bool) -> None:  # noqa: FBT001
    assert (_read("form-data; name=files", **{header: value}).encoding == "") is plain
