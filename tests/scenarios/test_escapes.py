"""A writer of site files who wants more than a site: nothing of it reaches the engine, Traefik, or a file."""

import json
import tomllib
from pathlib import Path

import pytest
from lab.host import Host, until

from tests.conftest import SiteText

pytestmark = pytest.mark.docker

ESCAPES = {
    # the engine, and so root
    "socket": "volumes: [/var/run/docker.sock:/s]",
    "folder-of-it": "volumes: ['/run/:/r:ro']",
    "root": "volumes: [/:/host]",
    "etc": "volumes: [/etc:/e:ro]",
    "dots": "volumes: [/srv/../etc:/e]",
    "relative": "volumes: [../../etc:/e]",
    "long-form": "volumes: [{type: bind, source: /etc, target: /e}]",
    "options": "volumes: ['data:/d:z,shared']",
    "no-name": "volumes: [/anonymous]",
    "volumes-from": "volumes_from: [shop]",
    "privileged": "privileged: true",
    "sys-admin": "cap_add: [SYS_ADMIN]",
    "all-of-them": "cap_add: [cap_all]",
    "net-host": "network_mode: host",
    "net-of-another": "network_mode: 'container:x'",
    "pid": "pid: host",
    "ipc": "ipc: host",
    "uts": "uts: host",
    "userns": "userns_mode: host",
    "device": "devices: [/dev/mem]",
    "unconfined": "security_opt: [seccomp=unconfined]",
    "sysctl": "sysctls: {kernel.core_pattern: '|/x'}",
    "runtime": "runtime: runc",
    "cgroup": "cgroup_parent: /",
    "port": "ports: ['0.0.0.0:22:22']",
    "merged": "x-a: &a {privileged: true}\n<<: *a",
    # another site
    "its-host": "hosts: [shop.DOMAIN]",
    "its-path": "hosts: [shop.DOMAIN]\npath: /login",
    "its-host-by-tls": "hosts: [shop.DOMAIN]\ntls: true",
    "its-host-in-capitals": "hosts: [SHOP.DOMAIN]",
    "every-host": "hosts: ['*.DOMAIN']",
    "elsewhere": "hosts: [bank.example]",
    "its-volume": "volumes: ['INSTANCE-shop-data:/d:ro']",
    "its-label": "labels: {shipstone.site: shop}",
    "its-router": "labels: {traefik.http.routers.x.rule: 'Host(`shop.DOMAIN`)'}",
    "its-router-odd-case": "labels: ['Traefik.HTTP.routers.x.rule=Host(`shop.DOMAIN`)']",
    "its-project": "labels: {com.docker.compose.project: shop}",
    "its-middleware": "middlewares: [{chain: {middlewares: [x@docker]}}]",
    "its-service": "middlewares: [{errors: {status: ['500'], service: api@internal, query: /}}]",
    "any-address": "middlewares: [{forwardAuth: {address: 'http://169.254.169.254/'}}]",
    # what is generated: rules, the hosts file, TOML, templates
    "rule": "hosts: ['a`) || Host(`shop.DOMAIN']",
    "rule-in-the-path": "path: '/`) || PathPrefix(`/'",
    "hosts-line": 'hosts: ["a.DOMAIN\\n10.0.0.1 bank.example"]',
    "hosts-names": "hosts: ['a.DOMAIN bank.example']",
    "hosts-comment": "hosts: ['a.DOMAIN#']",
    "toml": "hosts: ['a\"]\\n[x]']",
    "template": "hosts: ['{{ env \"HOME\" }}.DOMAIN']",
    "template-in-the-path": "path: '/{{ env \"HOME\" }}'",
    "template-in-a-resolver": "tls: {certresolver: '{{ env \"HOME\" }}'}",
    "template-in-a-middleware": "middlewares: [{headers: {customResponseHeaders: {X: '{{ env \"HOME\" }}'}}}]",
    "service": "services: {'../x': {}}",
    # the repository's edge
    "link": "files: {/x: link}",
    "folder-with-a-link": "files: {/x: folder}",
    "outside": "files: {/x: ../../etc/passwd}",
    "absolute": "files: {/x: /etc/passwd}",
    "git": "files: {/x: .git/config}",
    "over-its-files": "files: {/../etc/passwd: sites/link.yaml}",
    # secrets
    "secret-of-another": "secrets: {A: 'host:db'}",
    "secret-above": "secrets: {A: 'host:../shop/db'}",
    "secret-elsewhere": "secrets: {/etc/passwd: 'host:db'}",
    "secret-by-file": "secrets: {A: 'age:/etc/shipstone/credentials/age_identity'}",
    # YAML itself
    "python": "x-a: !!python/object/apply:os.system ['touch /tmp/x']",
    "environment": 'environment: {"A=B\\nC": x}',
    "image": "image: '--privileged'",
    "image-of-a-url": "image: https://evil.example/x:1",
}
HARMLESS = r"""
environment: {A: '{{ env "HOME" }}', B: "a\"\n[x]\n", C: '$(id) `id` ${HOME}', V: "{{ .Name }}"}
labels: {team: '{{ env "HOME" }} `x` "', other: 'traefik.enable=false'}
middlewares:
  - headers: {customResponseHeaders: {X-Odd: '`a` "b" $x'}}
"""


def test_no_escape_gets_anywhere(host: Host, site_text: SiteText, instance: str) -> None:
    good = site_text("good", extra=f"volumes: ['{instance}-shop-data:/data:ro']\n")
    first = host.repository.commit({"sites/shop.yaml": good, "shipstone.yaml": f"domain: {host.domain}\n"}, "a good site")
    secret = host.folder / "secrets/shop/db"
    secret.parent.mkdir(parents=True)
    secret.touch(mode=0o600)
    host.config.write_text(f'{host.config.read_text()}\n[secrets]\ndir = "{host.folder}/secrets"\n')
    host.start_daemon()
    until(lambda: host.converged(first), "the good site runs", 40)
    before = the_world(host)
    (host.repository.tree / "link").symlink_to("/etc/passwd")
    (host.repository.tree / "folder").mkdir()
    (host.repository.tree / "folder/link").symlink_to("../../../../../etc")
    (host.repository.tree / "sites/linked.yaml").symlink_to("/etc/passwd")
    base = f"image: {host.containers('shop')[0]['Image']}\nport: 80\n"
    files = {}
    for name, text in ESCAPES.items():
        own = text.replace("DOMAIN", host.domain).replace("INSTANCE", instance)
        files[f"sites/evil-{name}.yaml"] = f"{own}\nport: 80\n" if own.startswith("image:") else f"{base}{own}\n"
    commit = host.repository.commit(files, "all of them")
    until(lambda: host.status().get("revision") == commit, "it is read", 30)
    problems = json.loads(host.shipstone("validate", "--output", "json").stdout)["problems"]
    wrong = {row["file"] for row in problems if row["severity"] == "error"}
    free = {"sites/evil-secret-of-another.yaml"}  # only this host knows that it has no such secret
    assert set(files) - wrong <= free
    assert "sites/linked.yaml" in wrong
    assert all(row["line"] > 0 for row in problems if row["file"] in files and row["code"] != "SS-N12")
    until(lambda: any(row.get("commit") == commit for row in host.log()), "the daemon has it", 30)
    sites = host.status()["sites"]
    assert {name for name, site in sites.items() if name.startswith("evil-") and site["sync"] != "held"} == set()
    assert sites["shop"]["sync"] == "synced", "whoever claims what it has holds up nobody else"
    assert the_world(host) == before
    assert host.get(f"shop.{host.domain}") == (200, "good")
    rest = host.repository.commit(dict.fromkeys([*files, "sites/linked.yaml"]), "and away with them")
    until(lambda: host.converged(rest), "as before", 40)
    assert the_world(host) == before


def the_world(host: Host) -> dict[str, object]:
    """All that a site could have changed."""
    rows = host.api.containers(all=True)
    ours = [row for row in rows if any(host.instance in name for name in row["Names"])]
    routers = host.traefik("http/routers") or []
    return {
        "containers": sorted(row["Id"] for row in ours),
        "volumes": sorted(row["Name"] for row in host.api.volumes()["Volumes"] or () if host.instance in row["Name"]),
        "routers": sorted(row["name"] for row in routers if row["provider"] != "internal"),
        "pins": {path.name: path.read_text() for path in host.dynamic.glob("*.toml")},
        "hosts": host.hosts.read_text(),
        "static": host.static.read_text(),
        "mounted": sorted(path.name for path in (host.state / "files").rglob("*")) if (host.state / "files").exists() else [],
        "x": Path("/tmp/x").exists(),  # noqa: S108  what !!python would make
    }


def test_odd_texts_arrive_as_they_are_written(host: Host, site_text: SiteText) -> None:
    """Where any text is right, it is neither a template, nor a rule, nor TOML."""
    first = host.repository.commit({"sites/shop.yaml": site_text("x")}, "begin")
    host.start_daemon()
    until(lambda: host.converged(first), "it runs", 40)
    plain = site_text("x").replace("environment:", "x-was:")
    commit = host.repository.commit({"sites/shop.yaml": plain + HARMLESS}, "odd")
    until(lambda: host.converged(commit), "it runs, after a motion with its pins", 60)
    status, body, headers = host.ask("shop.test.local")
    assert (status, body) == (200, "{{ .Name }}")
    assert headers["X-Odd"] == '`a` "b" $x'
    (row,) = host.containers("shop")
    assert row["Labels"]["team"] == '{{ env "HOME" }} `x` "'
    given = host.api.inspect_container(row["Id"])["Config"]["Env"]
    assert {'A={{ env "HOME" }}', 'B=a"\n[x]\n', "C=$(id) `id` ${HOME}"} <= set(given)
    assert set(tomllib.loads((host.dynamic / f"{host.instance}.toml").read_text())) == {"http"}
