"""One revision becomes the desired state; what has errors is held at what it was."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Grant, Policy
from reconciler.desired.revision import Entry, Revision

SITE = "image: app:1\nport: 80\n"
READS: Counter[str] = Counter()


def revision(name: str, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> Revision:
    entries = {path: Entry(hashlib.sha1(text.encode()).hexdigest(), "file", len(text)) for path, text in files.items()}  # noqa: S324
    entries |= {path: Entry("0" * 40, "symlink", len(target)) for path, target in (links or {}).items()}

    def read(path: str) -> bytes:
        READS[f"{name} {path}"] += 1
        return files[path].encode()

    return Revision(name, entries, read)


def compiled(*steps: Mapping[str, str]) -> Desired:
    """The desired state after these revisions, one after the other."""
    compiler, desired = Compiler(Policy()), None
    for n, files in enumerate(steps):
        desired = compiler.compile(revision(f"r{n}", files), desired)
    assert desired is not None
    return desired


def test_a_site_answers_to_its_name_under_the_domain() -> None:
    desired = compiled({"shipstone.yaml": "domain: example.org\n", "sites/shop.yaml": SITE})
    assert desired.sites["shop"].route.hosts == ("shop.example.org",)
    assert desired.hosts() == ("example.org", "shop.example.org")
    assert desired.problems == ()


def test_only_the_broken_file_is_held_at_its_last_good_content() -> None:
    good = {"sites/a.yaml": SITE, "sites/b.yaml": SITE}
    before = compiled(good)
    desired = compiled(good, {"sites/a.yaml": "image: app:2\nport: 80\n", "sites/b.yaml": "imgae: app:2\nport: 80\n"})
    assert desired.sites["a"].services[0].spec.image == "app:2"
    assert desired.sites["b"].release == before.sites["b"].release
    assert list(desired.held) == ["b"]
    assert desired.held["b"].startswith("sites/b.yaml:1:1 imgae: ")


def test_a_broken_fleet_file_holds_every_site() -> None:
    good = {"shipstone.yaml": "domain: example.org\n", "sites/a.yaml": SITE}
    desired = compiled(
        good, {"shipstone.yaml": "domian: example.org\n", "sites/a.yaml": "image: app:2\nport: 80\n", "sites/new.yaml": SITE}
    )
    assert desired.sites["a"].services[0].spec.image == "app:1"
    assert sorted(desired.held) == ["a", "new"]
    assert desired.domain == "example.org"


def test_two_files_for_one_site_hold_it_and_a_file_that_can_be_no_sites_does_not() -> None:
    """Else whoever adds shop.yml takes over what shop.yaml says."""
    other = "image: app:2\nport: 80\n"
    for one, two in ((SITE, other), (other, SITE)):
        desired = compiled({"sites/a.yaml": SITE}, {"sites/a.yaml": one, "sites/a.yml": two})
        assert desired.sites["a"].services[0].spec.image == "app:1"
        assert desired.held == {"a": "sites/a.yml sites/a.yaml is a file for the same site. Delete or rename one of them."}
    desired = compiled({"sites/a.yaml": SITE}, {"sites/a.yaml": other, "sites/A.yaml": SITE})
    assert desired.sites["a"].services[0].spec.image == "app:2"
    assert not desired.held


def test_a_deleted_file_removes_its_site() -> None:
    assert sorted(compiled({"sites/a.yaml": SITE, "sites/b.yaml": SITE}, {"sites/a.yaml": SITE}).sites) == ["a"]


def test_two_files_that_claim_one_host_are_both_held() -> None:
    """Where nobody is known to have had it: neither is guessed."""
    claim = SITE + "hosts: [x.shipstone.local]\n"
    desired = compiled({"sites/a.yaml": claim, "sites/b.yaml": claim})
    assert sorted(desired.held) == ["a", "b"]
    assert not desired.sites
    assert [str(problem) for problem in desired.problems] == [
        "sites/a.yaml:3:8 hosts: x.shipstone.local is claimed by sites/b.yaml too. Take it out of one of the files.",
        "sites/b.yaml:3:8 hosts: x.shipstone.local is claimed by sites/a.yaml too. Take it out of one of the files.",
    ]


def test_whoever_had_it_goes_on_and_only_newcomers_are_held() -> None:
    """So a file that claims all that others have holds up none of them."""
    policy = Policy(ports=("1-65535",))
    own = {name: f"{SITE}volumes: ['{name}:/d:ro']\nports: ['127.0.0.1:{port}:80']\n" for name, port in (("a", 5001), ("b", 5002))}
    before = {f"sites/{name}.yaml": text for name, text in own.items()}
    moved = {path: text.replace("app:1", "app:2").replace("/d:ro", "/x:ro") for path, text in before.items()}
    claims = (
        "hosts: [a.shipstone.local, b.shipstone.local]\nvolumes: ['a:/a:ro', 'b:/b:ro']\nports: ['5001:80', '127.0.0.1:5002:80']\n",
        "hosts: [a.shipstone.local]\npath: /login\n",
    )
    for text in claims:
        desired = with_policy(policy, before, {**moved, "sites/evil.yaml": SITE + text})
        assert list(desired.held) == ["evil"]
        assert {problem.file for problem in desired.problems} == {"sites/evil.yaml"}
        assert {site.services[0].spec.image for site in desired.sites.values()} == {"app:2"}


def test_after_a_start_what_runs_says_who_had_it() -> None:
    """Also of a site that is held, and so long as it is."""
    claim = f"{SITE}hosts: [a.shipstone.local]\npath: /login\n"
    running = compiled({"sites/a.yaml": SITE}).sites
    desired = Compiler(Policy()).compile(revision("r", {"sites/a.yaml": SITE, "sites/b.yaml": claim}), None, running)
    assert list(desired.held) == ["b"]
    compiler = Compiler(Policy())
    first = compiler.compile(revision("r", {"sites/a.yaml": "imgae: x\n"}), None, running)
    assert not first.sites
    second = compiler.compile(revision("s", {"sites/a.yaml": "imgae: x\n", "sites/b.yaml": claim}), first, running)
    assert sorted(second.held) == ["a", "b"]


def test_what_a_site_gave_up_is_not_had_because_it_still_runs() -> None:
    claim = f"{SITE}hosts: [a.shipstone.local]\n"
    running = compiled({"sites/a.yaml": SITE}).sites
    compiler, moved = Compiler(Policy()), {"sites/a.yaml": f"{SITE}hosts: [other.shipstone.local]\n", "sites/b.yaml": claim}
    desired = compiler.compile(revision("r", moved), None, running)
    assert not desired.held
    assert list(compiler.compile(revision("s", {**moved, "sites/a.yaml": SITE}), desired, running).held) == ["a"]


def test_two_that_had_one_host_are_both_held_when_the_policy_does_not_share_it_any_more() -> None:
    files = {"sites/a.yaml": SITE, "sites/b.yaml": f"{SITE}hosts: [a.shipstone.local]\npath: /b\n"}
    running = with_policy(Policy(shared_hosts=("*",)), files).sites
    assert sorted(Compiler(Policy()).compile(revision("r", files), None, running).held) == ["a", "b"]


def test_whoever_had_a_host_may_change_its_path_and_whoever_had_a_path_has_no_other() -> None:
    claim = SITE + "hosts: [x.shipstone.local]\n"
    desired = compiled({"sites/a.yaml": claim}, {"sites/a.yaml": claim + "path: /new\n", "sites/b.yaml": claim + "path: /new\n"})
    assert list(desired.held) == ["b"]
    shared = Policy(shared_hosts=("x.*",))
    before = {"sites/a.yaml": claim, "sites/b.yaml": claim + "path: /b\n"}
    assert list(with_policy(shared, before, {"sites/a.yaml": claim, "sites/b.yaml": claim}).held) == ["b"]


def test_whoever_had_one_address_of_a_port_is_a_newcomer_to_all_of_them() -> None:
    policy = Policy(ports=("1-65535",))

    def files(one: str, two: str) -> dict[str, str]:
        return {f"sites/{name}.yaml": f"{SITE}ports: ['{port}']\n" for name, port in (("a", one), ("b", two))}

    before = files("127.0.0.1:5432:80", "127.0.0.2:5432:80")
    assert list(with_policy(policy, before, files("127.0.0.1:5432:80", "5432:80")).held) == ["b"]
    narrower = {"sites/a.yaml": f"{SITE}ports: ['5432:80']\n"}
    assert list(with_policy(policy, narrower, files("127.0.0.1:5432:80", "127.0.0.1:5432:80")).held) == ["b"]


@pytest.mark.parametrize("more", ["path: /login\n", "tls: true\n", "path: /login\ntls: true\n"])
def test_a_host_name_has_one_owner_for_all_its_paths_and_entry_points(more: str) -> None:
    claim = SITE + "hosts: [x.shipstone.local]\n"
    files = {"sites/a.yaml": claim, "sites/b.yaml": claim + more}
    assert sorted(compiled(files).held) == ["a", "b"]
    policy = Policy(shared_hosts=("X.*",))
    assert sorted(with_policy(policy, files).held) == ([] if "path" in more else ["a", "b"]), "its paths may be shared, no path may"


def test_a_path_of_a_shared_host_is_one_sites() -> None:
    claim = SITE + "hosts: [x.shipstone.local]\n"
    files = {"sites/a.yaml": claim, "sites/b.yaml": claim + "path: /b\n", "sites/c.yaml": claim + "path: /b\n"}
    shared = with_policy(Policy(shared_hosts=("x.shipstone.local",)), files)
    assert sorted(shared.held) == ["b", "c"]
    assert shared.held["c"] == (
        "sites/c.yaml:3:8 hosts: x.shipstone.local/b is claimed by sites/b.yaml too. Take it out of one of the files."
    )
    granted = with_policy(Policy(grants=(Grant("b", {"shared_hosts": ("x.*",)}),)), files)
    assert sorted(granted.held) == ["a", "b", "c"], "c has no leave to be beside a, nor b beside c at one path"
    assert granted.held["a"] == (
        "sites/a.yaml:3:8 hosts: x.shipstone.local is claimed by sites/c.yaml too. Use another host name, "
        "or ask the host's administrator for [policy] shared_hosts, or [policy.sites.a] shared_hosts."
    )
    del files["sites/c.yaml"]
    assert not with_policy(Policy(grants=(Grant("b", {"shared_hosts": ("x.*",)}),)), files).held


def test_mounted_files_are_named_by_their_content() -> None:
    """A changed file is a new release; a moved one with the same content is not another mount."""
    site = SITE + "files: {/srv: pages}\n"
    one = compiled({"sites/a.yaml": site, "pages/index.html": "1"})
    two = compiled({"sites/a.yaml": site, "pages/index.html": "2"})
    assert one.sites["a"].release != two.sites["a"].release
    assert [content.files for content in one.contents.values()] == [(("index.html", "pages/index.html", False),)]


def test_files_that_are_not_there_or_lead_elsewhere_hold_their_site() -> None:
    site = SITE + "files:\n  /srv: pages\n  /etc/app.conf: app.conf\n"
    compiler = Compiler(Policy())
    desired = compiler.compile(revision("r", {"sites/a.yaml": site, "pages/a": "1"}, {"pages/link": "/etc/passwd"}))
    assert [str(problem) for problem in desired.problems] == [
        "sites/a.yaml:4:9 files./srv: pages/link is a symlink, which is not followed. Put the file itself into the repository.",
        (
            "sites/a.yaml:5:18 files./etc/app.conf: app.conf is not in the repository. "
            "Add it, or correct the path (it starts at the repository's root)."
        ),
    ]
    assert list(desired.held) == ["a"]


def test_what_is_mounted_a_thousand_times_is_looked_at_once() -> None:
    """Else one small file keeps every site waiting for minutes."""
    READS.clear()
    many = SITE + "files: {" + ", ".join(f"/f{n}: pages" for n in range(100)) + "}\n"
    many += "secrets: {" + ", ".join(f"S{n}: 'age:key'" for n in range(100)) + "}\n"
    many += "services: {" + ", ".join(f"s{n}: {{}}" for n in range(100)) + "}\n"
    pointer_like = {f"pages/{n}": f"{n} " * 40 for n in range(10, 99)}
    desired = Compiler(Policy()).compile(revision("r", {"sites/a.yaml": many, **pointer_like}))
    assert len(desired.problems) == 100, "one of each secret that is not there"
    assert max(READS.values()) == 2, "the site's file, for its content and for the places of problems"
    assert READS["r sites/a.yaml"] == 2
    missing = many.replace(": pages", ": gone")
    desired = Compiler(Policy()).compile(revision("r", {"sites/a.yaml": missing}))
    assert [problem.code for problem in desired.problems] == ["SS-C25"] * 100 + ["SS-Y19"]
    assert desired.problems[-1].message == "only the first 100 problems of this file are shown. Mend these, then look again."
    assert list(desired.held) == ["a"]


def test_a_site_mounts_at_most_64_mib_and_what_is_mounted_twice_counts_once() -> None:
    mib = "x" * 2**20
    files = {f"{folder}/{n}": mib + folder + str(n) for folder in "abcdef" for n in range(15)}
    site = SITE + "services:\n" + "".join(f"  {name}: {{files: {{/1: a, /2: b, /3: c, /4: {name}}}}}\n" for name in "de")
    assert [str(problem) for problem in compiled({**files, "sites/x.yaml": site}).problems] == [
        "sites/x.yaml:5:40 files./4: with this the site mounts over 64 MiB in all. Put large content into the image or a volume."
    ]
    assert compiled({**files, "sites/x.yaml": site.replace("/4: e", "/4: d")}).problems == ()
    assert compiled({**files, "sites/x.yaml": site.replace("/4: e", "/4: e/1")}).problems == ()


def test_a_site_has_at_most_a_hundred_secrets() -> None:
    site = SITE + "services:\n" + "".join(f"  s{n:02}: {{secrets: {{A: 'host:a{n}', B: 'host:b{n}'}}}}\n" for n in range(51))
    assert [str(problem) for problem in compiled({"sites/a.yaml": site}).problems] == [
        "sites/a.yaml:54:22 secrets.A: this is one secret too many for one site. Write at most 100 different ones.",
        "sites/a.yaml:54:37 secrets.B: this is one secret too many for one site. Write at most 100 different ones.",
    ]


def test_warnings_that_are_too_many_hold_no_site() -> None:
    site = "port: 80\nimage: app\nservices:\n" + "".join(f"  s{n}: {{image: app, volumes: [v:/a]}}\n" for n in range(100))
    desired = compiled({"sites/a.yaml": site})
    assert [problem.code for problem in desired.problems][-1] == "SS-Y19"
    assert {problem.severity for problem in desired.problems} == {"warning"}
    assert list(desired.sites) == ["a"]
    assert list(compiled({"sites/a.yaml": site + "files: {/a: gone}\n"}).held) == ["a"]


def test_a_site_file_that_is_a_link_is_held() -> None:
    desired = Compiler(Policy()).compile(revision("r", {}, {"sites/a.yaml": "../x"}))
    assert [str(problem) for problem in desired.problems] == ["sites/a.yaml is a symlink. Put the file itself into the repository."]
    assert list(desired.held) == ["a"]


def test_only_files_that_changed_are_parsed_again() -> None:
    READS.clear()
    compiled({"sites/a.yaml": SITE, "sites/b.yaml": SITE + "weight: 2\n"}, {"sites/a.yaml": SITE, "sites/b.yaml": SITE + "weight: 3\n"})
    assert READS == {"r0 sites/a.yaml": 1, "r0 sites/b.yaml": 1, "r1 sites/b.yaml": 1}


def test_replicas_and_times_make_no_new_release() -> None:
    """A scaling or another drain is not a deploy."""
    one = compiled({"sites/a.yaml": SITE})
    two = compiled({"sites/a.yaml": SITE + "replicas: 3\nrollout: {drain: 1s}\n"})
    assert one.sites["a"].release == two.sites["a"].release
    assert two.sites["a"].timing.drain == 1.0


def with_policy(policy: Policy, *steps: Mapping[str, str]) -> Desired:
    compiler, desired = Compiler(policy), None
    for n, files in enumerate(steps):
        desired = compiler.compile(revision(f"r{n}", files), desired)
    assert desired is not None
    return desired


def test_two_sites_cannot_mount_one_volume_unless_the_policy_says_so() -> None:
    files = {f"sites/{name}.yaml": f"{SITE}volumes: [data:/data:ro]\n" for name in ("a", "b")}
    files["sites/c.yaml"] = f"{SITE}services: {{x: {{volumes: ['data:/x']}}}}\nrollout: {{order: stop-first}}\n"
    desired = compiled(files)
    assert sorted(desired.held) == ["a", "b", "c"]
    assert [(p.file, p.line, p.column, p.code) for p in desired.problems] == [
        ("sites/a.yaml", 3, 10, "SS-C34"),
        ("sites/b.yaml", 3, 10, "SS-C34"),
        ("sites/c.yaml", 3, 25, "SS-C34"),
    ]
    assert "the volume data is mounted by sites/b.yaml, sites/c.yaml too. Use a name of its own, as in a-data" in desired.held["a"]
    assert not with_policy(Policy(shared_volumes=("da*",)), files).held


def test_a_volume_of_a_held_site_is_no_newcomers() -> None:
    mine = f"{SITE}volumes: [data:/data:ro]\n"
    desired = compiled({"sites/a.yaml": mine}, {"sites/a.yaml": "imgae: x\n", "sites/b.yaml": mine})
    assert sorted(desired.held) == ["a", "b"]
    assert "the volume data is mounted by the site a too" in desired.held["b"]


@pytest.mark.parametrize("broken", ["imgae: x\n", f"{SITE}files: {{/a: nowhere}}\n"])
@pytest.mark.parametrize("more", ["", "path: /login\n"])
def test_a_host_name_of_a_held_site_is_no_newcomers(broken: str, more: str) -> None:
    claim = f"{SITE}hosts: [a.shipstone.local]\n{more}"
    desired = compiled({"sites/a.yaml": SITE}, {"sites/a.yaml": broken, "sites/b.yaml": claim})
    assert sorted(desired.held) == ["a", "b"]
    assert list(desired.sites) == ["a"]
    assert "a.shipstone.local is claimed by the site a too" in desired.held["b"]


def test_what_a_held_site_asks_for_counts_where_nobody_knows_what_it_had() -> None:
    desired = compiled({"sites/a.yaml": f"{SITE}files: {{/a: nowhere}}\n", "sites/b.yaml": f"{SITE}hosts: [a.shipstone.local]\n"})
    assert sorted(desired.held) == ["a", "b"]
    assert not desired.sites


def test_what_a_site_keeps_because_it_is_held_for_a_clash_is_no_newcomers_either() -> None:
    def site(host: str) -> str:
        return f"{SITE}hosts: [{host}.shipstone.local]\n"

    before = {"sites/a.yaml": site("one"), "sites/b.yaml": site("two"), "sites/c.yaml": site("three")}
    desired = compiled(before, {"sites/a.yaml": site("two"), "sites/b.yaml": site("two"), "sites/c.yaml": site("one")})
    assert {name: one.route.hosts for name, one in desired.sites.items()} == {
        name: (f"{host}.shipstone.local",) for name, host in (("a", "one"), ("b", "two"), ("c", "three"))
    }
    assert "one.shipstone.local is claimed by the site a too" in desired.held["c"]


def test_two_sites_cannot_publish_one_port_of_the_host() -> None:
    policy = Policy(ports=("1-65535",))

    def held(one: str, two: str) -> list[str]:
        return sorted(with_policy(policy, {f"sites/{n}.yaml": f"{SITE}ports: ['{port}']\n" for n, port in (("a", one), ("b", two))}).held)

    assert held("5432:80", "5432:81") == ["a", "b"]
    assert held("127.0.0.1:5432:80", "5432:81") == ["a", "b"], "all addresses have that one, too"
    assert held("127.0.0.1:5432:80", "127.0.0.2:5432:81") == []
    assert held("5432:80", "5432:80/udp") == []


def test_files_over_the_cap_are_not_mounted() -> None:
    """All files of one entry count together."""
    files = {"sites/a.yaml": SITE + "files: {/srv: pages}\n", "pages/a": "", "pages/b": ""}
    plain = revision("r", files)
    half = {path: Entry(e.id, e.kind, 8 * 2**20 + 1) if path.startswith("pages") else e for path, e in plain.entries.items()}
    desired = Compiler(Policy()).compile(Revision("r", half, plain.read))
    assert desired.held == {
        "a": "sites/a.yaml:3:15 files./srv: pages is over 16 MiB. Put large content into the image or a volume.",
    }


def test_what_is_too_large_is_not_even_read() -> None:
    """A gigabyte of zeros is a small commit."""

    def read(path: str) -> bytes:
        raise AssertionError(path)

    def said(path: str) -> list[str]:
        large = Revision("r", {path: Entry("1" * 40, "file", 2**30)}, read)
        return [str(problem) for problem in Compiler(Policy()).compile(large).problems]

    message = ":1:1 the file has 1073741824 bytes, more than 65536. Move large content into files of its own and mount them with files:."
    assert said("sites/a.yaml") == [f"sites/a.yaml{message}"]
    assert said("shipstone.yaml") == [f"shipstone.yaml{message}"]


def test_an_encrypted_file_that_is_too_large() -> None:
    plain = revision("r", {"sites/a.yaml": SITE + "secrets: {A: age:a.age}\n", "a.age": ""})
    desired = Compiler(Policy()).compile(Revision("r", {**plain.entries, "a.age": Entry("1" * 40, "file", 2**30)}, plain.read))
    assert desired.held == {
        "a": "sites/a.yaml:3:14 secrets.A: a.age has 1073741824 bytes. A secret has at most 1048576: put large content into a volume."
    }


@pytest.mark.parametrize("written", ["[db:10.0.0.6, db:10.0.0.5, a:10.0.0.7, db:10.0.0.5]", "{db: 10.0.0.5, a: 10.0.0.7}"])
def test_a_name_may_have_several_addresses(written: str) -> None:
    (service,) = compiled({"sites/web.yaml": f"image: app:1\nport: 80\nextra_hosts: {written}\n"}).sites["web"].services
    several = ("db:10.0.0.5", "db:10.0.0.6") if written.startswith("[") else ("db:10.0.0.5",)
    assert service.spec.extra_hosts == ("a:10.0.0.7", *several)
