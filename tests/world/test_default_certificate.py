"""A certificate for names that have none: made once, and only where nobody else names one."""

import ssl
import tomllib
from pathlib import Path

import pytest

from reconciler.world.default_certificate import DefaultCertificate


@pytest.fixture
def made(tmp_path: Path) -> DefaultCertificate:
    found = DefaultCertificate(tmp_path / "dynamic", "shop", "/etc/traefik/dynamic")
    found.ensure()
    return found


def test_a_key_that_only_its_owner_reads_and_a_file_that_names_it_as_traefik_sees_it(made: DefaultCertificate) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)
    assert made.key.stat().st_mode & 0o777 == 0o600
    assert made.named_in.stat().st_mode & 0o777 == 0o644
    named = tomllib.loads(made.named_in.read_text())["tls"]["stores"]["default"]["defaultCertificate"]
    assert named == {"certFile": "/etc/traefik/dynamic/shop-cert.pem", "keyFile": "/etc/traefik/dynamic/shop-key.pem"}
    assert {path.name for path in made.folder.iterdir()} == {path.name for path in made.paths}


def test_it_is_made_once(made: DefaultCertificate) -> None:
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths]
    made.ensure()
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in made.paths] == before


def test_half_of_it_is_made_again(made: DefaultCertificate) -> None:
    made.key.unlink()
    made.ensure()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(made.certificate, made.key)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tls.toml", '[tls.stores.default.defaultCertificate]\ncertFile = "/a"\nkeyFile = "/b"\n'),
        ("more/tls.yaml", "tls:\n  stores:\n    default:\n      defaultGeneratedCert:\n        resolver: le\n"),
        ("tls.yml", "tls: {stores: {default: {defaultcertificate: {certFile: /a, keyFile: /b}}}}\n"),
    ],
)
def test_it_goes_where_another_file_of_the_folder_names_one(made: DefaultCertificate, name: str, text: str) -> None:
    """And comes back after it."""
    path = made.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    made.ensure()
    assert not any(each.exists() for each in made.paths)
    path.unlink()
    made.ensure()
    assert all(each.exists() for each in made.paths)


def test_certificates_of_names_are_no_default(made: DefaultCertificate) -> None:
    (made.folder / "tls.toml").write_text('[[tls.certificates]]\ncertFile = "/a"\nkeyFile = "/b"\n')
    made.ensure()
    assert all(each.exists() for each in made.paths)


def test_without_openssl_traefik_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    DefaultCertificate(tmp_path / "dynamic", "shop", "/etc/traefik/dynamic").ensure()
    assert not list((tmp_path / "dynamic").iterdir())


def test_openssl_is_given_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of ours from the environment."""
    program = tmp_path / "openssl"
    program.write_text(f'#!/bin/sh\n/usr/bin/env > {tmp_path}/env\nexec /usr/bin/openssl "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SHIPSTONE_FORGE__TOKEN", "secret")
    DefaultCertificate(tmp_path / "dynamic", "shop", "/etc/traefik/dynamic").ensure()
    given = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert given <= {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def test_what_openssl_begins_and_does_not_end_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that writes a key and fails."""
    program = tmp_path / "openssl"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -keyout ]; do shift; done\necho half > "$2"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    DefaultCertificate(tmp_path / "dynamic", "shop", "/etc/traefik/dynamic").ensure()
    assert not list((tmp_path / "dynamic").iterdir())
