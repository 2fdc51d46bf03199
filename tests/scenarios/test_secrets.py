"""Secrets on a real engine: given out, changed with no request lost, missing, and their key lost."""

import io
import tarfile
from pathlib import Path

import docker
import pytest
from lab.host import Host, until
from lab.images import NGINX, make_nginx, provide
from lab.load import Load

from reconciler.desired.spec import SecretValue
from reconciler.errors import EngineError
from reconciler.world.age_files import new_identity, recipients_of, seal
from reconciler.world.secret_mount import MOST, put_secrets
from tests.conftest import SiteText

pytestmark = pytest.mark.docker


@pytest.fixture
def domain(instance: str) -> str:
    """What commands say of the whole host must be of this test alone."""
    return f"{instance}.test"


def write_secret(host: Host, path: str, text: str) -> Path:
    place = host.folder / "secrets" / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch(mode=0o600)
    place.write_text(text)
    return place


def with_secrets(host: Host) -> None:
    """Settings with a folder of secrets and an identity of this host's own."""
    lines = f'\n[secrets]\ndir = "{host.folder}/secrets"\nidentity = "{host.folder}/identity"\n'
    host.config.write_text(host.config.read_text() + lines)


def environment(host: Host, container: str) -> dict[str, str]:
    pairs = host.api.inspect_container(container)["Config"]["Env"]
    return dict(pair.split("=", 1) for pair in pairs)


def file_in(api: docker.APIClient, container: str, path: str) -> tuple[bytes, tarfile.TarInfo]:
    stream, _ = api.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = tar.getmembers()[0]
        content = tar.extractfile(member)
        assert content is not None
        return content.read(), member


def test_variables_and_files_come_from_the_host_and_from_the_repository(host: Host, site_text: SiteText) -> None:
    with_secrets(host)
    text, public = new_identity()
    (host.folder / "identity").touch(mode=0o600)
    (host.folder / "identity").write_text(text)
    write_secret(host, "shop/token", "of-the-host\n")
    write_secret(host, "shop/key", "a file\n")
    sealed = seal(b"of-the-repository\n", ["shop"], recipients_of([public], "x")).decode()
    extra = 'user: "1234"\nsecrets: {TOKEN: "host:token", DB: "age:secrets/db.age", /run/secrets/key: "host:key"}\n'
    commit = host.repository.commit({"sites/shop.yaml": site_text("one", extra=extra), "secrets/db.age": sealed}, "secrets")
    host.start_daemon()
    until(lambda: host.converged(commit), "it runs", 40)
    (row,) = host.containers("shop")
    given = environment(host, row["Id"])
    assert (given["TOKEN"], given["DB"]) == ("of-the-host", "of-the-repository")
    data, member = file_in(host.api, row["Id"], "/run/secrets/key")
    assert (data, member.mode & 0o777, member.uid) == (b"a file\n", 0o400, 1234)
    host.api.restart(row["Id"], timeout=1)
    until(lambda: host.converged(commit), "it runs again, and nothing drifted", 40)
    assert [one["Id"] for one in host.containers("shop")] == [row["Id"]]
    assert file_in(host.api, row["Id"], "/run/secrets/key")[0] == b"a file\n"


def test_a_changed_secret_is_rolled_out_without_a_loss_and_a_lost_key_rolls_nothing(host: Host, site_text: SiteText) -> None:
    with_secrets(host)
    secret = write_secret(host, "shop/v", "one\n")
    text = site_text("x", replicas=2, extra='secrets: {V: "host:v"}\n').replace("V: x, ", "")
    commit = host.repository.commit({"sites/shop.yaml": text}, "a secret")
    host.start_daemon()
    until(lambda: host.converged(commit), "it runs", 40)
    assert host.get(f"shop.{host.domain}") == (200, "one")
    with Load(host.web, f"shop.{host.domain}", clients=4, pause=0.02) as load:
        secret.write_text("two\n")
        until(lambda: host.get(f"shop.{host.domain}") == (200, "two"), "without a commit", 40)
        until(lambda: host.converged(commit), "at rest", 40)
    assert load.seen.lost == []
    before = sorted(row["Id"] for row in host.containers("shop"))
    host.stop_daemon()
    (host.state / "secrets.key").unlink()
    plan = host.shipstone("plan")
    assert (plan.returncode, plan.stdout.strip()) == (0, "nothing to do"), plan.stdout + plan.stderr
    host.start_daemon()
    until(lambda: sum(row.get("event") == "fetched" for row in host.log()) == 2, "the daemon has begun anew", 20)
    host.api.remove_container(before[0], force=True)
    until(lambda: len(host.containers("shop")) == 2 and host.converged(commit), "healed", 40)
    assert before[1] in [row["Id"] for row in host.containers("shop")], "only the one that a hand removed is new"


def test_a_missing_secret_holds_its_site_until_it_is_there(host: Host, site_text: SiteText) -> None:
    with_secrets(host)
    first = host.repository.commit({"sites/shop.yaml": site_text("one"), "sites/other.yaml": site_text("one")}, "begin")
    host.start_daemon()
    until(lambda: host.converged(first), "both run", 40)
    missing = site_text("two", extra='secrets: {TOKEN: "host:token"}\n')
    host.repository.commit({"sites/shop.yaml": missing, "sites/other.yaml": site_text("two")}, "a secret that nobody has")
    until(lambda: host.get(f"other.{host.domain}") == (200, "two"), "the other site goes on", 40)
    status = host.status()["sites"]["shop"]
    assert status["sync"] == "held"
    assert "secrets.TOKEN: the secret token is not on this host" in status["message"]
    assert f"{host.folder}/secrets/shop/token" in status["message"]
    assert host.get(f"shop.{host.domain}") == (200, "one")
    write_secret(host, "shop/token", "now\n")
    until(lambda: host.get(f"shop.{host.domain}") == (200, "two"), "it is rolled out without another commit", 40)


def passwd(kind: bytes, size: int) -> bytes:
    row, made = tarfile.TarInfo("passwd"), io.BytesIO()
    row.type, row.size, row.linkname = kind, size, "hosts"
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.addfile(row, io.BytesIO(bytes(size)))
    return made.getvalue()


def test_a_named_user_of_an_image_can_read_its_file(docker_socket: str, instance: str) -> None:
    """The image's own /etc/passwd says who that is."""
    api = docker.APIClient(base_url=docker_socket, version="auto")
    provide(api, NGINX, make_nginx)
    made = api.create_container_from_config({"Image": NGINX}, f"{instance}-made")["Id"]
    try:
        put_secrets(api, made, [("/run/secrets/key", SecretValue(b"x"))], "nginx:nginx")
        data, member = file_in(api, made, "/run/secrets/key")
        assert (data, member.mode & 0o777, member.uid) == (b"x", 0o400, 101)
        with pytest.raises(EngineError, match="its user nobody-here is not in the image's /etc/passwd"):
            put_secrets(api, made, [("/run/secrets/key", SecretValue(b"x"))], "nobody-here")
        for kind, size in ((tarfile.SYMTYPE, 0), (tarfile.REGTYPE, MOST + 1)):
            api.put_archive(made, "/etc", passwd(kind, size))
            with pytest.raises(EngineError, match="/etc/passwd is no plain file of at most 1 MiB"):
                put_secrets(api, made, [("/run/secrets/key", SecretValue(b"x"))], "nginx")
    finally:
        api.remove_container(made, force=True)
        api.close()
