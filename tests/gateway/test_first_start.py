import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from services.gateway.first_start import main, write_certificate, write_redis_password


def _names(folder: Path) -> set[str]:
    command = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(folder / "certificate.pem")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name.strip() for name in text.splitlines()[1].split(",")}


def test_a_second_start_keeps_the_password_and_the_certificate(tmp_path: Path) -> None:
    arguments = ["--secrets", str(tmp_path), "--tls", str(tmp_path)]
    main(arguments)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    main(arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert set(first) == {"redis-password", "redis.conf", "certificate.pem", "key.pem", "self-signed"}
    assert first["redis.conf"] == b"requirepass " + first["redis-password"] + b"\n"
    assert len(first["redis-password"]) >= 40


def test_each_site_gets_another_password(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        write_redis_password(folder)
    assert len({(folder / "redis-password").read_text() for folder in folders}) == 2


def test_others_read_no_secret(tmp_path: Path) -> None:
    main(["--secrets", str(tmp_path), "--tls", str(tmp_path)])
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_the_certificate_names_the_hosts_and_fits_its_key(tmp_path: Path) -> None:
    write_certificate(tmp_path, ["ct.example.org", "192.0.2.7", "[2001:db8::7]"])
    hosts = {"DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"}
    assert _names(tmp_path) == {*hosts, "DNS:ct.example.org", "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"}
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
        tmp_path / "certificate.pem", tmp_path / "key.pem"
    )


def test_a_self_signed_certificate_gets_the_names_that_a_site_adds(tmp_path: Path) -> None:
    write_certificate(tmp_path, [])
    write_certificate(tmp_path, ["ct.example.org"])
    assert "DNS:ct.example.org" in _names(tmp_path)


def test_a_self_signed_certificate_that_ends_soon_is_renewed_and_a_sites_own_is_not(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=x", "-keyout", str(tmp_path / "key.pem")]
    command += ["-out", str(tmp_path / "certificate.pem")]
    subprocess.run(command, capture_output=True, check=True)
    own = (tmp_path / "certificate.pem").read_bytes()
    write_certificate(tmp_path, [])
    assert (tmp_path / "certificate.pem").read_bytes() == own
    (tmp_path / "self-signed").write_text("DNS:localhost,IP:127.0.0.1,IP:::1")
    write_certificate(tmp_path, [])
    assert (tmp_path / "certificate.pem").read_bytes() != own


def test_a_folder_without_a_certificate_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="unset ICH_TLS"):
        write_certificate(tmp_path / "missing", [])


def test_hosts_that_are_no_list_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICH_HOSTS", "ct.example.org")
    with pytest.raises(SystemExit, match="JSON list"):
        main(["--secrets", str(tmp_path), "--tls", str(tmp_path)])
