"""What a container may not be or have: rights on the host, and values that Docker or Traefik would read otherwise than meant."""

import pytest

from reconciler.desired.parse import parse_site
from reconciler.desired.policy import Limits, Policy
from reconciler.desired.refused_keys import REFUSED
from reconciler.desired.site import Fleet, ServiceKeys
from tests.desired.rows import CLOSED, FLEET, assert_only, problems_of

HOST_RIGHTS = """
    privileged network_mode devices device_cgroup_rules gpus pid ipc uts cgroup cgroup_parent userns_mode security_opt sysctls runtime
    group_add volumes_from
"""
OTHERWISE = "ports expose build depends_on container_name networks deploy links external_links hostname extends configs scale"
OPEN = Policy(capabilities=("NET_RAW",), devices=("/dev/tty*",), ports=("1-200",))
NOT_YET = "env_file logging on profiles"


@pytest.mark.parametrize("key", HOST_RIGHTS.split())
@pytest.mark.parametrize("value", ["host", "true", "[a]", "{a: b}", '"container:x"'])
def test_no_key_gives_rights_on_the_host(key: str, value: str) -> None:
    assert_only(f"{key}: {value}", f"1:1 {key}", "SS-C01", f"{key} would")
    assert_only(f"services:\n  a:\n    {key}: {value}\n", f"3:5 services.a.{key}", "SS-C01", f"{key} would")


@pytest.mark.parametrize("key", OTHERWISE.split())
def test_a_compose_key_whose_work_is_done_otherwise(key: str) -> None:
    assert_only(f"user: root\n{key}: [22:22]", f"2:1 {key}", "SS-C02", f"{key} ")


@pytest.mark.parametrize("key", NOT_YET.split())
def test_a_key_that_this_version_does_not_have(key: str) -> None:
    assert_only(f"{key}: true", f"1:1 {key}", "SS-C03", f"{key} is not in this version")


@pytest.mark.parametrize(
    ("key", "entry"),
    [
        ("files", "/f{}: a"),
        ("secrets", "S{}: host:a"),
        ("labels", "l{}: a"),
        ("extra_hosts", "h{}: 10.0.0.1"),
        ("volumes", "v{}:/v{}:ro"),
        ("tmpfs", "/t{}"),
        ("hosts", "h{}.shipstone.local"),
        ("cap_add", "NET_RAW"),
        ("cap_drop", "NET_RAW"),
        ("devices", "/dev/tty{}"),
        ("ports", "{}:{}"),
    ],
)
def test_a_key_has_at_most_a_hundred_entries(key: str, entry: str) -> None:
    assert_only(written(key, entry, 101), f"1:{len(key) + 3} {key}", "SS-C13", "101 entries are too many. Write at most 100.", OPEN)
    assert problems_of(written(key, entry, 100), OPEN) == ()


@pytest.mark.parametrize(("key", "entry"), [("environment", "E{}: a"), ("command", "w{}"), ("entrypoint", "w{}")])
def test_variables_and_words_may_be_a_thousand(key: str, entry: str) -> None:
    assert_only(written(key, entry, 1001), f"1:{len(key) + 3} {key}", "SS-C13", "1001 entries are too many. Write at most 1000.")
    assert problems_of(written(key, entry, 1000)) == ()
    assert_only("command: " + "x " * 1001, "1:10 command", "SS-C13", "Write at most 1000.")


def written(key: str, entry: str, count: int) -> str:
    rows = ", ".join(entry.format(n, n) if ": " in entry else f"'{entry.format(n, n)}'" for n in range(1, count + 1))
    return f"{key}: {{{rows}}}" if ": " in entry else f"{key}: [{rows}]"


def test_no_refused_key_is_one_that_is_read() -> None:
    assert not set(REFUSED) & set(ServiceKeys.model_fields)


def test_stop_first_is_refused_with_its_reason() -> None:
    assert_only("rollout: {order: both}", "1:18 rollout.order", "SS-Y17", "Write one of: start-first, stop-first")


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("cap_add: [SYS_ADMIN]", "1:11 cap_add[0]", "SS-C04", "[policy] capabilities", id="cap_add"),
        pytest.param("cap_add: [cap_net_admin]", "1:11 cap_add[0]", "SS-C04", "NET_ADMIN is not among", id="cap_add-spelt-otherwise"),
        pytest.param("cap_add: [ALL]", "1:11 cap_add[0]", "SS-C04", "ALL is not among", id="cap_add-all"),
        pytest.param("cap_drop: [EVERYTHING]", "1:12 cap_drop[0]", "SS-C04", "is not a Linux capability", id="cap_drop"),
        pytest.param("volumes:\n- /var/run/docker.sock:/s", "2:3 volumes[0]", "SS-C05", "and so root on this host", id="docker-socket"),
        pytest.param("volumes: ['/var/run/:/run:ro']", "1:11 volumes[0]", "SS-C05", "/var/run/docker.sock", id="folder-of-the-socket"),
        pytest.param("volumes: [/:/host]", "1:11 volumes[0]", "SS-C05", "gives the container the engine", id="root-of-the-host"),
        pytest.param("volumes: [//var//run:/x]", "1:11 volumes[0]", "SS-C05", "gives the container the engine", id="double-slashes"),
        pytest.param("volumes: [/etc:/x:ro]", "1:11 volumes[0]", "SS-C06", "none may be mounted", id="bind"),
        pytest.param("volumes: [/srv/../etc:/x]", "1:11 volumes[0]", "SS-C07", "has '..' in it", id="dots-in-source"),
        pytest.param("volumes: [data:/../etc]", "1:11 volumes[0]", "SS-C07", "is not an absolute path", id="dots-in-target"),
        pytest.param("volumes: [./data:/x]", "1:11 volumes[0]", "SS-C07", "For what is in the repository use files:", id="relative"),
        pytest.param("volumes: [~/data:/x]", "1:11 volumes[0]", "SS-C07", "relative to nothing", id="home"),
        pytest.param("volumes: [data:data]", "1:11 volumes[0]", "SS-C07", "is not an absolute path", id="relative-target"),
        pytest.param("volumes: ['data:/']", "1:11 volumes[0]", "SS-C07", "whole container", id="root-target"),
        pytest.param("volumes: [/data]", "1:11 volumes[0]", "SS-C08", "Write NAME:/data", id="anonymous-volume"),
        pytest.param("volumes: [data:/data:z]", "1:11 volumes[0]", "SS-C08", ["SOURCE:TARGET", ":ro]"][0], id="volume-option"),
        pytest.param("volumes: ['a b:/data']", "1:11 volumes[0]", "SS-C08", "cannot be a volume's name", id="volume-name"),
        pytest.param("volumes: [{type: bind, source: /, target: /x}]", "1:11 volumes[0]", "SS-C08", "long form", id="long-form"),
        pytest.param("labels: {traefik.enable: 'true'}", "1:10 labels.traefik.enable", "SS-C09", "is reserved", id="traefik-label"),
        pytest.param("labels: {Shipstone.site: x}", "1:10 labels.Shipstone.site", "SS-C09", "is reserved", id="own-label"),
        pytest.param("labels: [a=b, traefik.enable=true]", "1:15 labels[1]", "SS-C09", "is reserved", id="reserved-in-a-list"),
        pytest.param(
            "labels: {com.docker.compose.project: x}", "1:10 labels.com.docker.compose.project", "SS-C09", "reserved", id="docker"
        ),
        pytest.param("labels: {'a b': x}", "1:10 labels.a b", "SS-C24", "cannot be a label's name", id="label-name"),
        pytest.param("image: Nginx:1", "1:8 image", "SS-C10", "is not an image's name", id="image-in-upper-case"),
        pytest.param(f"image: sha256:{'a' * 64}", "1:8 image", "SS-C10", "is not an image's name", id="image-by-its-id"),
        pytest.param("image: EVIL/app:1", "1:8 image", "SS-C10", "EVIL is a host to some engines", id="upper-case-host"),
        pytest.param("image: LOCALHOST/app:1", "1:8 image", "SS-C10", "Write localhost, or a host with a dot", id="upper-case-localhost"),
        pytest.param("image: 'nginx:1 --privileged'", "1:8 image", "SS-C10", "Write NAME:TAG", id="image-with-option"),
        pytest.param("image: nginx:", "1:13", "SS-Y01", "mapping values are not allowed", id="image-with-colon-at-the-end"),
        pytest.param("image: 'nginx:1\\n'", "1:8 image", "SS-C10", "is not an image's name", id="image-with-a-backslash"),
        pytest.param("image: ''", "1:8 image", "SS-C10", "is not an image's name", id="empty-image"),
        pytest.param("image: nginx@sha256:abc", "1:8 image", "SS-C10", "is not an image's name", id="short-digest"),
        pytest.param("image: https://r.io/nginx:1", "1:8 image", "SS-C10", "is not an image's name", id="image-as-a-url"),
        pytest.param("image: nginx", "1:8 image", "SS-C11", "has no tag", id="no-tag"),
        pytest.param("image: r.io:5000/nginx", "1:8 image", "SS-C11", "Name a version, as in r.io:5000/nginx:1.2.3", id="port-is-no-tag"),
        pytest.param("services: {a: {image: nginx:latest}}", "1:23 services.a.image", "SS-C11", "is 'latest'", id="latest"),
        pytest.param("port: 0", "1:7 port", "SS-C13", "Write a number from 1 to 65535", id="port-0"),
        pytest.param("port: 65536", "1:7 port", "SS-C13", "65536 is out of range", id="port-65536"),
        pytest.param("port: ٣", "1:7 port", "SS-Y17", "Write plain digits", id="arabic-digit"),
        pytest.param("port: 8_0", "1:7 port", "SS-Y17", "Write plain digits, as in 80", id="underscore"),
        pytest.param("port: '80\\n'", "1:7 port", "SS-Y17", "is not a whole number", id="port-with-more"),
        pytest.param('port: "80\\n"', "1:7 port", "SS-Y17", "Write plain digits", id="port-with-a-line-break"),
        pytest.param("port: http", "1:7 port", "SS-Y17", "http is not a whole number", id="port-name"),
        pytest.param("port: 8080:80", "1:7 port", "SS-Y17", "8080:80 is not a whole number", id="published-port"),
        pytest.param("environment: {'A=B': c}", "1:15 environment.A=B", "SS-C14", "cannot be a variable's name", id="env-equals"),
        pytest.param('environment: {"A\\nB": c}', '1:15 environment."A\\nB"', "SS-C14", "cannot be a variable's name", id="env-line-break"),
        pytest.param("environment: {A: }", "1:15 environment.A", "SS-C14", "there is no shell to take it from", id="env-nothing"),
        pytest.param("environment: [A]", "1:15 environment[0]", "SS-C14", "there is no shell to take it from", id="env-list-nothing"),
        pytest.param("environment: [A=1, B=2, A=3]", "1:25 environment[2]", "SS-Y02", "A is written twice", id="env-twice"),
        pytest.param("healthcheck: {test: ls, interval: 0}", "1:35 healthcheck.interval", "SS-C15", "0 s is out of range", id="interval-0"),
        pytest.param("healthcheck: {test: ls, interval: 5 m}", "1:35 healthcheck.interval", "SS-C15", "without spaces", id="interval-5-m"),
        pytest.param("healthcheck: {test: ls, timeout: 5}", "1:34 healthcheck.timeout", "SS-C15", "Write 5s for seconds", id="no-unit"),
        pytest.param("healthcheck: {test: ls, timeout: -5s}", "1:34 healthcheck.timeout", "SS-C15", "is not a duration", id="negative"),
        pytest.param("healthcheck: {test: ls, timeout: 1d}", "1:34 healthcheck.timeout", "SS-C15", "1d is not a duration", id="days"),
        pytest.param("rollout: {deadline: 10:00}", "1:21 rollout.deadline", "SS-C15", "10:00 is not a duration", id="clock"),
        pytest.param("rollout: {drain: 9999h}", "1:18 rollout.drain", "SS-C15", "from 0s to 3600s", id="too-long"),
        pytest.param("stop_grace_period: 1e9s", "1:20 stop_grace_period", "SS-C15", "is not a duration", id="exponent"),
        pytest.param("mem_limit: 1Q", "1:12 mem_limit", "SS-C16", "1Q is not a size", id="memory-1Q"),
        pytest.param("mem_limit: 64 m", "1:12 mem_limit", "SS-C16", "as in 64m", id="memory-with-a-space"),
        pytest.param("mem_limit: 1", "1:12 mem_limit", "SS-C16", "Write at least 6m", id="memory-1"),
        pytest.param("mem_limit: -64m", "1:12 mem_limit", "SS-C16", "is not a size", id="memory-negative"),
        pytest.param("files: {/a: ../b}", "1:13 files./a", "SS-C17", "not a path inside the repository", id="files-outside"),
        pytest.param("files: {/a: /etc/passwd}", "1:13 files./a", "SS-C17", "from the repository's top", id="files-absolute"),
        pytest.param("files: {/a: .git/config}", "1:13 files./a", "SS-C17", "is not something to mount", id="files-git"),
        pytest.param("files: {/a: .}", "1:13 files./a", "SS-C17", "is not something to mount", id="files-all"),
        pytest.param("files: {a: b}", "1:9 files.a", "SS-C07", "a is not an absolute path", id="files-relative-target"),
        pytest.param("files: {/a/../b: b}", "1:9 files./a/../b", "SS-C07", "without '..'", id="files-dots-in-target"),
        pytest.param("files: {/a/: b, /a: c}", "1:17 files./a", "SS-C21", "/a is the same place as /a/", id="files-one-target-twice"),
        pytest.param("replicas: -1", "1:11 replicas", "SS-C13", "-1 is out of range. Write a number from 0 to 1000", id="replicas"),
        pytest.param("replicas: 1.5", "1:11 replicas", "SS-Y17", "1.5 is not a whole number", id="half-a-replica"),
        pytest.param("weight: -1", "1:9 weight", "SS-C13", "out of range", id="weight"),
        pytest.param("cpus: 0", "1:7 cpus", "SS-C13", "from 0.01 to 1024", id="cpus"),
        pytest.param("pids_limit: 0", "1:13 pids_limit", "SS-C13", "out of range", id="pids"),
        pytest.param("restart: 'yes'", "1:10 restart", "SS-Y17", "Write one of: no, always, on-failure, unless-stopped", id="restart"),
        pytest.param("drift: ignore", "1:8 drift", "SS-Y17", "Write one of: heal, report", id="drift"),
        pytest.param("healthcheck: {interval: 5s}", "1:1 healthcheck", "SS-C20", "test is missing", id="check-without-test"),
        pytest.param("healthcheck: {test: [ls]}", "1:21 healthcheck.test", "SS-C20", "begin with CMD, CMD-SHELL or NONE", id="test-list"),
        pytest.param("healthcheck: {test: [CMD]}", "1:21 healthcheck.test", "SS-C20", "Write [CMD, PROGRAM, ARGUMENT…]", id="test-cmd"),
        pytest.param("healthcheck: {test: [NONE, x]}", "1:21 healthcheck.test", "SS-C20", "Write [NONE]", id="test-none"),
        pytest.param("healthcheck: {test: ''}", "1:21 healthcheck.test", "SS-C20", "the test is empty", id="test-empty"),
        pytest.param("healthcheck: {test: ls, disable: true}", "1:25 healthcheck.disable", "SS-C02", "write test: [NONE]", id="disable"),
        pytest.param("ulimits: {files: 5}", "1:11 ulimits.files", "SS-C23", "is not a ulimit", id="ulimit-name"),
        pytest.param("ulimits: {nofile: x}", "1:19 ulimits.nofile", "SS-Y17", "x is not a whole number", id="ulimit-number"),
        pytest.param("ulimits: {nofile: {soft: 1}}", "1:11 ulimits.nofile", "SS-C23", "hard is missing", id="ulimit-hard"),
        pytest.param("ulimits: {nofile: {soft: 9, hard: 1}}", "1:19 ulimits.nofile", "SS-C23", "9 is above the hard limit 1", id="ulimit"),
        pytest.param("tmpfs: [/run:exec;]", "1:9 tmpfs[0]", "SS-C24", "are not mount options", id="tmpfs-options"),
        pytest.param("tmpfs: run", "1:8 tmpfs", "SS-C07", "run is not an absolute path", id="tmpfs-path"),
        pytest.param("user: 'root; id'", "1:7 user", "SS-C24", "Write USER or USER:GROUP", id="user"),
        pytest.param("working_dir: app", "1:14 working_dir", "SS-C07", "is not an absolute path", id="working_dir"),
        pytest.param("stop_signal: sigquit", "1:14 stop_signal", "SS-C24", "as in SIGQUIT", id="stop_signal"),
        pytest.param("extra_hosts: [db]", "1:15 extra_hosts[0]", "SS-C24", "is not an address", id="extra_host-alone"),
        pytest.param("extra_hosts: {db: elsewhere}", "1:19 extra_hosts.db", "SS-C24", "elsewhere is not an address", id="extra_host-name"),
        pytest.param("extra_hosts: {'a b': 10.0.0.1}", "1:22 extra_hosts.a b", "SS-C24", "is not NAME:ADDRESS", id="extra_host-space"),
        pytest.param("command: 'sh -c \"x'", "1:10 command", "SS-C24", "Close the quote", id="open-quote-in-command"),
        pytest.param("tmpfs: [/a]\nvolumes: [data:/a:ro]", "1:1 tmpfs", "SS-C21", "/a is mounted in volumes and in tmpfs", id="two-mounts"),
        pytest.param("volumes: [a:/a:ro, b:/a:ro]", "1:1 volumes", "SS-C21", "/a is mounted twice in volumes", id="two-volumes"),
        pytest.param("replicas: 0", "1:1 replicas", "SS-C22", "nobody answers", id="no-replicas"),
        pytest.param("services: {a: {weight: 0}}", "1:1 services", "SS-C22", "Give one of them a weight", id="no-weight"),
    ],
)
def test_one_problem_at_its_place(text: str, place: str, code: str, fragment: str) -> None:
    assert_only(text, place, code, fragment)


def test_a_floating_tag_is_a_warning_and_an_error_where_the_policy_says_so() -> None:
    assert [problem.severity for problem in problems_of("image: nginx:latest")] == ["warning"]
    strict = problems_of("image: nginx:latest", Policy(require_tag=True))
    assert [(problem.code, problem.severity) for problem in strict] == [("SS-C11", "error")]


@pytest.mark.parametrize("image", ["nginx:1.27", "r.io:5000/a/b:1", "nginx@sha256:" + "a" * 64, "nginx:latest@sha256:" + "a" * 64])
def test_an_image_that_stays_the_same_gives_no_warning(image: str) -> None:
    assert problems_of(f"image: {image}") == ()


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("nginx:1", "docker.io"),
        ("team/app:1", "docker.io"),
        ("index.docker.io/team/app:1", "docker.io"),
        ("r.io/app:1", "r.io"),
        ("r.io:5000/app:1", "r.io:5000"),
        ("localhost/a:1", "localhost"),
    ],
)
def test_the_policy_may_name_the_registries(image: str, allowed: str) -> None:
    assert problems_of(f"image: {image}", Policy(registries=(allowed,))) == ()
    assert_only(f"image: {image}", "1:8 image", "SS-C12", "Use one from other.io", Policy(registries=("other.io",)))


def test_the_policy_may_open_folders_and_capabilities_but_never_the_socket() -> None:
    policy = Policy(bind_roots=("/srv/data", "/run"), capabilities=("CAP_NET_RAW",))
    assert problems_of("volumes: [/srv/data/a:/a:ro, /srv/data:/b:ro]\ncap_add: [net_raw]", policy) == ()
    assert_only("volumes: [/srv/database:/a]", "1:11 volumes[0]", "SS-C06", "is outside /srv/data, /run", policy)
    assert_only("volumes: [/run/docker.sock:/a]", "1:11 volumes[0]", "SS-C05", "No policy allows it", policy)


def test_image_and_port_are_wanted_at_the_service_or_else_at_the_top_of_the_file() -> None:
    bare = Fleet()
    assert [str(problem) for problem in problems_of("user: root", fleet=bare)] == [
        "sites/blog.yaml:1:1 no image. Say which one to run: image: nginx:1.27-alpine",
        "sites/blog.yaml:1:1 no port. Say where the container listens: port: 80",
    ]
    text = "services:\n  a:\n    image: nginx:1\n    port: 80\n  b:\n    port: 80\n"
    assert_only(text, "5:3 services.b", "SS-C18", "Say which one to run", fleet=bare)
    assert_only("port: 80\n" + text.replace("port: 80", "weight: 1"), "6:3 services.b", "SS-C18", "no image", fleet=bare)


def test_a_mistyped_or_wrong_image_is_not_missing_too() -> None:
    assert_only("imgae: nginx:1\nport: 80", "1:1 imgae", "SS-Y15", "`image`", fleet=Fleet())
    assert_only("image: [nginx]\nport: 80", "1:8 image", "SS-Y16", "one text", fleet=Fleet())


def test_replicas_0_for_one_of_two_services_is_fine() -> None:
    assert problems_of("services: {a: {replicas: 0}, b: {}}") == ()
    assert_only("services:\n  a: {replicas: 0}\n  b: {weight: 0}\n", "1:1 services", "SS-C22", "weight 0")


def test_a_site_has_at_most_100_services() -> None:
    assert problems_of("services:\n" + "".join(f"  s{n}: {{}}\n" for n in range(100))) == ()
    assert_only("services:\n" + "".join(f"  s{n}: {{}}\n" for n in range(101)), "2:3 services", "SS-C13", "make several sites of it")


def test_a_volume_that_is_written_to_is_a_warning() -> None:
    assert_only("volumes: [a:/a:ro, b:/b]", "1:20 volumes[1]", "SS-C26", "b is written to, so a deploy stops the old release")
    assert_only("services: {a: {volumes: [b:/b:rw]}}", "1:26 services.a.volumes[0]", "SS-C26", "Write :ro after it")
    assert problems_of("volumes: [b:/b]\nrollout: {order: stop-first}") == ()
    assert [problem.severity for problem in problems_of("volumes: [b:/b]")] == ["warning"]


def test_mounts_that_collide_only_through_defaults() -> None:
    text = "files: {/a: front}\nservices:\n  a: {volumes: [data:/a:ro]}\n"
    assert_only(text, "3:7 services.a.volumes", "SS-C21", "/a is mounted in files and in volumes")


def test_what_the_fleet_gives_counts_for_the_site() -> None:
    site, problems = parse_site("sites/a.yaml", b"{}", FLEET, CLOSED)
    assert problems == ()
    assert site is not None


def test_a_site_has_at_most_as_many_containers_as_a_bridge_takes() -> None:
    text = "replicas: 100\nservices:\n" + "".join(f"  s{n}: {{}}\n" for n in range(10))
    assert problems_of(text + "  z: {replicas: 23}\n") == ()
    message = "all replicas together are 1024 containers, and one network takes 1023. Write fewer."
    assert_only(text + "  z: {replicas: 24}\n", "1:1 replicas", "SS-C13", message)
    assert_only(
        text + "  z: {replicas: 1000}\n", "13:7 services.z.replicas", "SS-C13", "2000 containers", Policy(limits=Limits(replicas=5000))
    )
