"""Every key of [policy]: what it decides, what gives it and what takes it, and whether it is open where nobody says anything.

A key that is added needs a row here, and so a decision about its default.
"""

from dataclasses import dataclass, field

NGINX = "image: nginx:1.27-alpine\n"


@dataclass(frozen=True)
class Judged:
    """`text`: of sites/blog.yaml. Right where the key is `gives`, an error `code` where it is `takes`; `is_open`: right by default.
    `beside`: other files; `silent`: a text that does not write what the key counts."""

    text: str
    gives: str
    takes: str
    code: str
    is_open: bool = False
    beside: dict[str, str] = field(default_factory=dict, hash=False)
    silent: str = ""


SHOP_HOST = {"sites/shop.yaml": f"{NGINX}hosts: [blog.shipstone.local]\n"}
SHOP_VOLUME = {"sites/shop.yaml": f"{NGINX}volumes: ['data:/data:ro']\n"}
JUDGED = {
    "bind_roots": Judged("volumes: [/srv/a:/a:ro]", '["/srv"]', '["/opt"]', "SS-C06"),
    "capabilities": Judged("cap_add: [NET_ADMIN]", '["NET_ADMIN"]', '["NET_RAW"]', "SS-C04"),
    "domains": Judged("hosts: [x.example.org]", '["example.org"]', '["example.com"]', "SS-N10"),
    "registries": Judged("image: r.io/app:1", '["r.io"]', '["docker.io"]', "SS-C12", is_open=True),
    "middlewares": Judged("middlewares: [{chain: {middlewares: [x@file]}}]", '["chain"]', '["errors"]', "SS-C28"),
    "require_tag": Judged("image: nginx", "false", "true", "SS-C11", is_open=True),
    "require_digest": Judged("image: nginx:1", "false", "true", "SS-C11", is_open=True),
    "images": Judged("image: r.io/app:1", '["r.io/*"]', '["nginx"]', "SS-C32", is_open=True),
    "private_images": Judged("image: r.io/app:1", '["r.io/team/*"]', '["r.io/*"]', "SS-C32", is_open=True),
    "hosts": Judged("hosts: [x.shipstone.local]", '["x.*"]', '["{site}.*"]', "SS-N18", is_open=True),
    "labels": Judged(
        "labels: {traefik.http.middlewares.x.compress: 'true'}",
        '["traefik.http.middlewares.*"]',
        '["traefik.tcp.*"]',
        "SS-C09",
    ),
    "privileged": Judged("privileged: true", "true", "false", "SS-C01"),
    "namespaces": Judged("pid: host", '["pid"]', '["ipc"]', "SS-C01"),
    "devices": Judged("devices: [/dev/fuse]", '["/dev/fuse"]', '["/dev/kvm"]', "SS-C30"),
    "ports": Judged("ports: ['5432:80']", '["5432"]', '["5433"]', "SS-C31"),
    "shared_volumes": Judged("volumes: ['data:/data:ro']", '["da*"]', '["other"]', "SS-C34", beside=SHOP_VOLUME),
    "shared_hosts": Judged("path: /blog", '["blog.*"]', '["shop.*"]', "SS-N16", beside=SHOP_HOST),
    "max_replicas": Judged("replicas: 5", "5", "4", "SS-C33", is_open=True),
    "max_memory": Judged("mem_limit: 2g", '"2g"', '"1g"', "SS-C33", is_open=True, silent="user: root"),
    "max_cpus": Judged("cpus: 2", "2.0", "1.5", "SS-C33", is_open=True, silent="user: root"),
    "max_pids": Judged("pids_limit: 200", "200", "199", "SS-C33", is_open=True, silent="user: root"),
}

SECRETS, SETTINGS = "world/test_secrets.py", "test_settings.py"
HARDENED, REMOVED = "test_what_new_containers_get", "test_how_many_removals_wait"
ELSEWHERE = {
    "max_removals": tuple((("test_policy_keys.py", REMOVED, f"max_removals-{what}")) for what in ("allowed", "refused", "default")),
    "max_removal_share": tuple(
        (("test_policy_keys.py", REMOVED, f"max_removal_share-{what}")) for what in ("allowed", "refused", "default")
    ),
    "secrets": (
        (SECRETS, "TestOfThisHost.test_a_shared_one_where_the_policy_names_it", ""),
        (SECRETS, "TestOfThisHost.test_none_of_another_site", ""),
        (SETTINGS, "test_the_default_gives_nothing", ""),
    ),
    "no_new_privileges": tuple(
        ("test_policy_keys.py", HARDENED, f"no_new_privileges-{what}") for what in ("allowed", "refused", "default")
    ),
    "pids_limit": tuple(("test_policy_keys.py", HARDENED, f"pids_limit-{what}") for what in ("allowed", "refused", "default")),
    "log_max_size": tuple(("test_policy_keys.py", HARDENED, f"log_max_size-{what}") for what in ("allowed", "refused", "default")),
    "log_max_file": tuple(("test_policy_keys.py", HARDENED, f"log_max_file-{what}") for what in ("allowed", "refused", "default")),
    "sites": (
        (SETTINGS, "test_a_site_gets_what_its_table_says", ""),
        (SETTINGS, "test_a_wrong_policy_is_one_clear_line", ""),
        (SETTINGS, "test_the_default_gives_nothing", ""),
    ),
}
"""Those that no text of a site shows: the tests of what is allowed, what is refused, and the default."""
