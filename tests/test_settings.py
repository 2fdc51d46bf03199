"""The host's settings: secrets of them come from files that others cannot read, and are never printed; the policy's own types."""

from pathlib import Path

import pytest

from reconciler.errors import SettingsError
from reconciler.secret_file import read_secret
from reconciler.settings import Settings, load_settings
from reconciler.wiring import hardening_of, logins_of, policy_of
from reconciler.world.docker_config import Hardening

MARK = "m4rked-secret"
DEFAULT = Hardening(no_new_privileges=True, pids_limit=4096, log=(("max-file", "3"), ("max-size", "10m")))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(MARK + "\n")
    path.chmod(0o600)
    return path


def loaded(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "config.toml").write_text(text)
    return load_settings(tmp_path / "config.toml")


def said(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as error:
        loaded(tmp_path, text)
    assert MARK not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{tmp_path}/config.toml: ")


def test_a_secret_may_be_in_a_file_of_its_own(tmp_path: Path, secret: Path) -> None:
    text = f'[source]\nurl_file = "{secret}"\n[registries."ghcr.io"]\nusername = "ada"\npassword_file = "{secret}"\n'
    settings = loaded(tmp_path, text)
    assert settings.source.url == MARK
    assert logins_of(settings).find("ghcr.io/a").config == {"username": "ada", "password": MARK, "serveraddress": "ghcr.io"}
    assert MARK not in repr(settings)
    assert MARK not in str(settings)


def test_so_it_may_by_environment(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPSTONE_SOURCE__URL_FILE", str(secret))
    monkeypatch.setenv("SHIPSTONE_REGISTRIES", f'{{"r.io:5000": {{"username": "ada", "password_file": "{secret}"}}}}')
    settings = loaded(tmp_path, "")
    assert settings.source.url == MARK
    assert settings.registries["r.io:5000"].password.get_secret_value() == MARK


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_file_that_every_user_can_read_is_refused(tmp_path: Path, secret: Path, mode: int) -> None:
    secret.chmod(mode)
    message = said(tmp_path, f'[source]\nurl_file = "{secret}"\n')
    assert message == f"source: url_file: cannot use {secret}: every user of this host can read it, or write it. chmod o= {secret}."


def test_what_else_may_be_wrong_with_such_a_file(tmp_path: Path, secret: Path) -> None:
    assert said(tmp_path, '[source]\nurl_file = "/nowhere/x"\n') == "source: url_file: there is no file /nowhere/x."
    assert (
        said(tmp_path, f'[source]\nurl = "https://x/"\nurl_file = "{secret}"\n')
        == "source: url and url_file are both there. Keep one of them."
    )
    secret.write_bytes(b"\xff")
    assert said(tmp_path, f'[source]\nurl_file = "{secret}"\n') == f"source: url_file: {secret} is no text."
    assert "is a directory" in said(tmp_path, f'[source]\nurl_file = "{tmp_path}"\n').lower()


def test_a_wrong_password_setting_does_not_print_it(tmp_path: Path) -> None:
    text = f'[registries."ghcr.io"]\nusername = "ada"\npassword_file = "/nowhere"\npassword = "{MARK}"\n'
    assert said(tmp_path, text).startswith("registries.ghcr.io: password and password_file are both there")
    assert said(tmp_path, text.replace("password_file", "pasword")).startswith(
        "registries.ghcr.io.pasword: there is no such setting (did you"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[policy.sites.shop]\nport = ["1"]', "policy.sites.shop.port: there is no such setting (did you mean ports?)"),
        ('[policy]\nports = ["http"]', "policy.ports.0: "),
        ('[policy]\nnamespaces = ["network"]', "policy.namespaces.0: "),
        ('[policy]\nmax_memory = "1Q"', "policy.max_memory: "),
        ("[policy.sites.shop]\nmax_removals = 5", "policy.sites.shop.max_removals: there is no such setting"),
    ],
)
def test_a_wrong_policy_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    assert said(tmp_path, text).startswith(message)


def test_the_default_gives_nothing(tmp_path: Path) -> None:
    policy = policy_of(loaded(tmp_path, ""))
    given = (policy.bind_roots, policy.capabilities, policy.devices, policy.ports, policy.namespaces, policy.labels, policy.secrets)
    assert given == ((),) * 7
    assert not policy.privileged
    assert hardening_of(loaded(tmp_path, ""))("x") == DEFAULT


def test_a_site_gets_what_its_table_says(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
[policy]
capabilities = ["NET_RAW"]
max_memory = "1g"
max_replicas = 4
[policy.sites."iot-*"]
capabilities = ["SYS_RAWIO"]
privileged = true
max_memory = "2g"
max_replicas = 0
no_new_privileges = false
[traefik]
http_port = 81
""",
    )
    policy = policy_of(settings)
    iot, other = policy.of_site("iot-1"), policy.of_site("shop")
    assert (iot.capabilities, iot.privileged, iot.limits.memory, iot.limits.replicas) == (("NET_RAW", "SYS_RAWIO"), True, 2**31, None)
    assert iot.limits.default_pids == 4096
    assert (other.capabilities, other.privileged, other.limits.memory, other.limits.replicas) == (("NET_RAW",), False, 2**30, 4)
    assert not hardening_of(settings)("iot-1").no_new_privileges
    assert hardening_of(settings)("shop").no_new_privileges
    assert sorted(policy.taken) == [81, 8080]


def test_links_of_this_host_are_followed(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    policy = policy_of(loaded(tmp_path, f'[policy]\nbind_roots = ["{tmp_path}"]'))
    assert policy.resolve(str(tmp_path / "out" / "ssl")) == "/etc/ssl"


def test_below_a_file_there_is_no_secret(tmp_path: Path) -> None:
    """A secret of all may be called as a site is: then the next place is looked at."""
    (tmp_path / "smtp").write_text("shared")
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path / "smtp" / "smtp")
