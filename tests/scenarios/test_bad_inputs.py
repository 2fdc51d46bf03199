"""A bad file of each kind, all in one commit, on a real engine: each is said with its place, and nothing is changed."""

import pytest
from lab.host import Host, until
from lab.load import Load

from tests.conftest import SiteText
from tests.desired.test_bad_yaml import BOMB

pytestmark = pytest.mark.docker

BAD = {
    "bomb": BOMB + "{image}",
    "deep": "x-a: " + "[" * 500 + "\n",
    "python": "{image}user: !!python/object/apply:os.system [id]\n",
    "sexagesimal": "{image}command: [serve, 22:22]\n",
    "line": '{image}hosts: ["a\\n10.0.0.1 bank"]\n',
    "template": "{image}hosts: ['{{{{ env \"HOME\" }}}}']\n",
    "rule": "{image}hosts: ['a`) || Host(`b']\n",
    "thief": "{image}hosts: [shop.{domain}]\n",
    "root": "{image}privileged: true\nvolumes: [/:/host, /var/run/docker.sock:/s]\n",
    "net": "{image}network_mode: container:traefik\npid: host\ncap_add: [SYS_ADMIN]\n",
    "label": "{image}labels: {{traefik.http.routers.x.rule: 'PathPrefix(`/`)'}}\n",
    "passwd": "{image}files: {{/a: ../../etc/passwd}}\n",
    "linked": "{image}files: {{/a: link}}\n",
}
"""{image} is a right image and port."""


def test_a_bad_file_of_each_kind_changes_nothing(host: Host, site_text: SiteText, domain: str) -> None:
    """Those that run are not touched, those that never ran do not come; requests go on, all problems are said at once."""
    good = site_text("one")
    image = "".join(line + "\n" for line in good.splitlines() if line.startswith(("image:", "port:")))
    first = host.repository.commit({"sites/shop.yaml": good, "sites/linked.yaml": good}, "two sites")
    host.start_daemon()
    until(lambda: host.converged(first), "both run", 40)
    before = {row["Id"] for row in host.containers()}
    written = {path: path.read_bytes() for path in (host.hosts, host.static, *host.dynamic.glob("*.toml"))}
    volumes = {row["Name"] for row in host.api.volumes()["Volumes"] or [] if host.instance in row["Name"]}
    (host.repository.tree / "link").symlink_to("/etc/passwd")
    files = {f"sites/{name}.yaml": text.format(image=image, domain=domain) for name, text in BAD.items()}
    with Load(host.web, f"shop.{domain}", clients=2, pause=0.01) as load:
        second = host.repository.commit({**files, "sites/-x.yaml": good, "sites/SHOP.yml": good}, "all that is bad")
        until(lambda: host.status()["revision"] == second, "the commit is looked at", 40)
        until(lambda: {"held"} == {host.status()["sites"][name]["sync"] for name in BAD}, "all are held", 40)
    assert load.seen.lost == []
    assert {row["Id"] for row in host.containers()} == before
    assert {path: path.read_bytes() for path in written} == written
    assert {row["Name"] for row in host.api.volumes()["Volumes"] or [] if host.instance in row["Name"]} == volumes
    done = host.shipstone("validate")
    assert done.returncode == 1
    said = {line.split(":")[0].split(" ")[0] for line in done.stderr.splitlines() if line.startswith("sites/")}
    assert {*files, "sites/-x.yaml", "sites/SHOP.yml"} <= said
