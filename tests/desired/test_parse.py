"""Files that are right: what they mean, and how defaults merge."""

from typing import Any

import pytest
import yaml

from reconciler.desired.middlewares import flat
from reconciler.desired.parse import merged_services, parse_fleet, parse_site
from reconciler.desired.places import Places
from reconciler.desired.site import Fleet, Healthcheck, LoadBalancer, Rollout, ServiceKeys, Site, Sticky, Tls, Ulimit
from tests.desired.rows import CLOSED, FLEET

EXAMPLE = """
# yaml-language-server: $schema=../site.schema.json
image: nginx:1.27-alpine
port: 80                                   # where the container listens
hosts: [web1.shipstone.local]              # default: <site>.<domain>
files: {/etc/nginx/nginx.conf: front/config/nginx.conf}      # from the repository, read-only; a changed file is a new release
services:                                  # leave out for one service; keys above are defaults for each
  a: {weight: 10, files: {/usr/share/nginx/html: front/1/A}}        # each replica's weight, as Traefik's server weight
  b: {weight: 5,  files: {/usr/share/nginx/html: front/1/B}}
"""
EVERY_KEY = """
x-note: [anything, {at: all}]
image: registry.example.com:5000/team/app:3
port: 8080
replicas: 2
weight: 7
command: serve --name "two words"
entrypoint: [/bin/tini, --]
environment: {PLAIN: text, NUMBER: 5, FLAG: true, QUOTED: "22:22", EMPTY: ""}
secrets: {TOKEN: "host:token", KEY: age:./secrets//key.age, DB: "sops:secrets/db.yaml#db.password"}
user: 1000:1000
working_dir: /
read_only: true
init: false
tmpfs: /run:size=64m
volumes: [data:/data:ro, cache:/cache/:ro]
files: {/etc/app/: ./front//config}
healthcheck: {test: "wget -q localhost", interval: 1m30s, timeout: 500ms, retries: 3, start_period: 0s, start_interval: 1s, x-why: slow}
restart: no
stop_grace_period: 1h
stop_signal: SIGQUIT
cap_drop: [all, CAP_NET_RAW]
ulimits: {nofile: 1024, core: {soft: 0, hard: -1}}
mem_limit: 1.5g
cpus: 0.5
pids_limit: 100
labels: {team: blue, empty: }
extra_hosts: {db: 10.0.0.5, six: "::1", host: host-gateway}
hosts: [A.shipstone.local]
path: /api/
sticky: true
tls: {certresolver: le}
middlewares: [{compress: {}}, {addPrefix: {prefix: /x}}]
loadbalancer: {strategy: hrw, flush_interval: 1s}
services: {a: {}}
rollout: {order: start-first, deadline: 5m, min_healthy: 0s, drain: 1.5s}
drift: report
suspend: true
"""


def site_of(text: str, fleet: Fleet = FLEET) -> Site:
    site, problems = parse_site("sites/web1.yaml", text.encode(), fleet, CLOSED)
    assert problems == ()
    assert site is not None
    return site


def test_the_example_means_what_it_says() -> None:
    assert site_of(EXAMPLE, Fleet()) == Site(
        image="nginx:1.27-alpine",
        port=80,
        hosts=["web1.shipstone.local"],
        files={"/etc/nginx/nginx.conf": "front/config/nginx.conf"},
        services={
            "a": ServiceKeys(weight=10, files={"/usr/share/nginx/html": "front/1/A"}),
            "b": ServiceKeys(weight=5, files={"/usr/share/nginx/html": "front/1/B"}),
        },
    )


def test_every_key_has_its_value() -> None:
    site = site_of(EVERY_KEY)
    assert site.model_dump(exclude={"healthcheck", "ulimits", "services", "rollout", "sticky", "tls", "middlewares", "loadbalancer"}) == {
        "image": "registry.example.com:5000/team/app:3",
        "port": 8080,
        "replicas": 2,
        "weight": 7,
        "command": ["serve", "--name", "two words"],
        "entrypoint": ["/bin/tini", "--"],
        "environment": {"PLAIN": "text", "NUMBER": "5", "FLAG": "true", "QUOTED": "22:22", "EMPTY": ""},
        "secrets": {"TOKEN": "host:token", "KEY": "age:secrets/key.age", "DB": "sops:secrets/db.yaml#db.password"},
        "user": "1000:1000",
        "working_dir": "/",
        "read_only": True,
        "init": False,
        "tmpfs": ["/run:size=64m"],
        "volumes": ["data:/data:ro", "cache:/cache:ro"],
        "files": {"/etc/app": "front/config"},
        "restart": "no",
        "stop_grace_period": 3600.0,
        "stop_signal": "SIGQUIT",
        "cap_add": [],
        "cap_drop": ["ALL", "NET_RAW"],
        "privileged": False,
        "pid": None,
        "ipc": None,
        "uts": None,
        "userns_mode": None,
        "devices": [],
        "ports": [],
        "mem_limit": 3 * 512 * 1024**2,
        "cpus": 0.5,
        "pids_limit": 100,
        "labels": {"team": "blue", "empty": ""},
        "extra_hosts": ["db:10.0.0.5", "six:::1", "host:host-gateway"],
        "hosts": ["a.shipstone.local"],
        "path": "/api",
        "drift": "report",
        "suspend": True,
    }
    assert site.healthcheck == Healthcheck(
        test=["CMD-SHELL", "wget -q localhost"], interval=90.0, timeout=0.5, retries=3, start_period=0.0, start_interval=1.0
    )
    assert (site.sticky, site.tls) == (Sticky(), Tls(certresolver="le"))
    assert [flat(row) for row in site.middlewares] == [("compress", ()), ("addPrefix", (("prefix", "/x"),))]
    assert site.loadbalancer == LoadBalancer(strategy="hrw", flush_interval=1.0)
    assert site.ulimits == {"nofile": Ulimit(soft=1024, hard=1024), "core": Ulimit(soft=0, hard=-1)}
    assert site.rollout == Rollout(order="start-first", deadline=300.0, min_healthy=0.0, drain=1.5)


def test_every_key_is_in_that_test() -> None:
    """So that a new key cannot be forgotten there; what only a policy allows is in test_policy.py."""
    guarded = {"cap_add", "privileged", "pid", "ipc", "uts", "userns_mode", "devices", "ports"}
    assert set(Site.model_fields) - set(yaml.safe_load(EVERY_KEY)) == guarded


def test_values_have_plain_types_and_nothing_of_the_reader() -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for pair in value.items() for side in pair for leaf in leaves(side)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert {type(leaf) for leaf in leaves(site_of(EVERY_KEY).model_dump())} == {str, int, float, bool, type(None)}


def test_list_and_map_forms_mean_the_same() -> None:
    listed = site_of("environment: [A=b=c, EMPTY=]\nlabels: [team=blue, flag]\nextra_hosts: ['db:10.0.0.5', 'six=::1']\ncommand: [a, b c]")
    mapped = site_of(
        "environment: {A: b=c, EMPTY: ''}\nlabels: {team: blue, flag: ''}\nextra_hosts: {db: 10.0.0.5, six: '::1'}\ncommand: a 'b c'"
    )
    assert listed == mapped


def test_defaults_of_what_is_left_out() -> None:
    site = site_of("{}")
    assert site == Site()
    assert (site.replicas, site.weight, site.restart, site.stop_grace_period) == (1, 1, "unless-stopped", 10.0)
    assert (site.rollout.deadline, site.rollout.min_healthy, site.rollout.drain, site.drift) == (120.0, 5.0, 10.0, "heal")


def test_anchors_and_merge_keys() -> None:
    site = site_of("x-base: &base {replicas: 2, environment: {A: b}}\nservices:\n  a:\n    <<: *base\n    replicas: 3\n  b: *base\n")
    assert site.services == {
        "a": ServiceKeys(replicas=3, environment={"A": "b"}),
        "b": ServiceKeys(replicas=2, environment={"A": "b"}),
    }


def test_several_merge_sources_count_in_their_order() -> None:
    site = site_of("x-a: &a {replicas: 2}\nx-b: &b {replicas: 3, weight: 4}\nservices: {s: {<<: [*a, *b]}}")
    assert site.services == {"s": ServiceKeys(replicas=2, weight=4)}


def test_a_site_without_services_is_one_service_named_web() -> None:
    assert merged_services(site_of("replicas: 3"), FLEET) == {"web": ServiceKeys(image="nginx:1.27-alpine", port=80, replicas=3)}


def test_the_service_wins_over_the_site_and_the_site_over_the_fleet() -> None:
    fleet, problems = parse_fleet(
        "shipstone.yaml",
        b"defaults: {image: 'f:1', port: 80, replicas: 5, weight: 9, environment: {A: fleet, B: fleet, C: fleet}, command: [fleet, 'on']}",
    )
    assert problems == ()
    assert fleet is not None
    site = site_of(
        "image: s:1\nreplicas: 2\nenvironment: {B: site, C: site}\nservices: {a: {replicas: 1, environment: [C=a]}, b: {command: b}}", fleet
    )
    assert merged_services(site, fleet) == {
        "a": ServiceKeys(
            image="s:1", port=80, replicas=1, weight=9, command=["fleet", "on"], environment={"A": "fleet", "B": "site", "C": "a"}
        ),
        "b": ServiceKeys(image="s:1", port=80, replicas=2, weight=9, command=["b"], environment={"A": "fleet", "B": "site", "C": "site"}),
    }


def test_a_value_that_equals_the_default_still_overrides() -> None:
    """Only what was written counts, and what was written counts even if it is the built-in default."""
    site = site_of("replicas: 4\nread_only: true\nservices: {a: {replicas: 1, read_only: false}}")
    merged = merged_services(site, FLEET)["a"]
    assert (merged.replicas, merged.read_only) == (1, False)
    assert merged.model_fields_set == {"image", "port", "replicas", "read_only"}


def test_maps_of_maps_merge_and_lists_are_replaced() -> None:
    site = site_of(
        "healthcheck: {test: [NONE], interval: 5s}\nulimits: {nofile: 1, core: 2}\nvolumes: [a:/a:ro]\n"
        "extra_hosts: {db: 10.0.0.1, one: 10.0.0.2}\n"
        "services: {a: {healthcheck: {test: ls}, ulimits: {core: 3}, volumes: [b:/b:ro], extra_hosts: [db:10.0.0.9]}}"
    )
    merged = merged_services(site, FLEET)["a"]
    assert merged.healthcheck == Healthcheck(test="ls", interval=5.0)
    assert merged.ulimits == {"nofile": Ulimit(soft=1, hard=1), "core": Ulimit(soft=3, hard=3)}
    assert merged.volumes == ["b:/b:ro"]
    assert merged.extra_hosts == ["one:10.0.0.2", "db:10.0.0.9"]


def test_the_fleet_file() -> None:
    fleet, problems = parse_fleet("shipstone.yaml", b"x-a: 1\ndomain: Example.org\ndefaults: {image: nginx:1.27, port: 80}\n")
    assert problems == ()
    assert fleet == Fleet(domain="example.org", defaults=ServiceKeys(image="nginx:1.27", port=80))


@pytest.mark.parametrize(
    "text", ["\ufeffport: 81\n", "port: 81\r\nweight: 1\r\n", "---\nport: 81\n...\n", "%YAML 1.2\n---\nport: 81\n", "{port: 81}"]
)
def test_other_spellings_of_a_file(text: str) -> None:
    assert site_of(text).port == 81


def test_the_place_of_a_key_for_problems_found_later() -> None:
    data = EXAMPLE.encode()
    assert Places(lambda: data).of(("services", "a", "files", "/usr/share/nginx/html")) == (8, 50)
    assert Places(lambda: data).of(("services", "a", "image"), ("image",)) == (3, 8)
    assert Places(lambda: data).of(("services", "z")) == (0, 0)
    assert Places(lambda: b"\xff").of(("image",)) == (0, 0)
