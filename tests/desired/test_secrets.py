"""What a file may say of secrets: targets, sources, places; and that the desired state has digests, never values."""

import hashlib

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.desired import Desired
from reconciler.desired.policy import Policy
from reconciler.desired.refusal import Refusal
from reconciler.desired.revision import Revision
from reconciler.desired.spec import ContainerSpec, SecretRef, SecretValue, canonical
from tests.desired.rows import assert_only, problems_of
from tests.desired.test_compile import SITE, revision

MARK = "m4rked-secret"


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("secrets: {A: }", "1:11 secrets.A", "SS-Y16", "nothing is written", id="nothing"),
        pytest.param(f"secrets: {{A: {MARK}}}", "1:14 secrets.A", "SS-C35", "host:NAME, age:PATH", id="the-secret-itself"),
        pytest.param(f"secrets: {{A: 'https://x:{MARK}@h'}}", "1:14 secrets.A", "SS-C35", "host:NAME, age:PATH", id="a-url"),
        pytest.param("secrets: {A: 'host:../x'}", "1:14 secrets.A", "SS-C35", "host:../x is not where", id="host-dots"),
        pytest.param("secrets: {A: 'host:other/x'}", "1:14 secrets.A", "SS-C35", "is not where", id="host-of-another-site"),
        pytest.param("secrets: {A: 'age:../x'}", "1:14 secrets.A", "SS-C17", "not a path inside", id="age-dots"),
        pytest.param("secrets: {A: 'age:/etc/shadow'}", "1:14 secrets.A", "SS-C17", "not a path inside", id="age-absolute"),
        pytest.param("secrets: {A: 'sops:a.yaml'}", "1:14 secrets.A", "SS-C35", "sops:PATH#KEY", id="sops-without-key"),
        pytest.param("secrets: {A: 'sops:a.yaml#a b'}", "1:14 secrets.A", "SS-C35", "is not where", id="sops-key"),
        pytest.param("secrets: {'A=B': 'host:x'}", "1:11 secrets.A=B", "SS-C14", "a variable's name", id="variable"),
        pytest.param("secrets: {/etc/x: 'host:x'}", "1:11 secrets./etc/x", "SS-C35", "/run/secrets/NAME for a file", id="elsewhere"),
        pytest.param("secrets: {/run/secrets/../x: 'host:x'}", "1:11 secrets./run/secrets/../x", "SS-C35", "is no place", id="target-dots"),
        pytest.param("environment: {A: x}\nsecrets: {A: 'host:x'}", "2:1 secrets", "SS-C35", "A is in environment too", id="twice"),
        pytest.param(
            "read_only: true\nsecrets: {/run/secrets/x: 'host:x'}", "2:1 secrets", "SS-C35", "a read_only container", id="read-only"
        ),
        pytest.param("tmpfs: /run\nsecrets: {/run/secrets/x: 'host:x'}", "2:1 secrets", "SS-C35", "/run is mounted over", id="under-tmpfs"),
        pytest.param("secrets: [A]", "1:10 secrets", "SS-Y16", "a map of keys belongs here", id="list"),
    ],
)
def test_one_problem_at_its_place(text: str, place: str, code: str, fragment: str) -> None:
    assert_only(text, place, code, fragment)
    assert not any(MARK in str(problem) for problem in problems_of(text)), "what may be the secret itself is not shown"


@pytest.mark.parametrize(
    "text", ["secrets: {A: 'host:db.password-2'}", "read_only: true\nsecrets: {A: 'age:a/b.age'}", "tmpfs: /run\nsecrets: {A: 'host:x'}"]
)
def test_right(text: str) -> None:
    assert problems_of(text) == ()


class Vault:
    """Knows what is in `values`."""

    def __init__(self, **values: str) -> None:
        self.values, self.asked = values, dict(values)

    def digest(self, site: str, source: str, _revision: Revision) -> str:
        if source not in self.values:
            raise Refusal("SS-C36", f"{source} is not there. Write it.")
        return "k." + hashlib.sha256(f"{site}{self.values[source]}".encode()).hexdigest()[:8]

    def changed(self) -> bool:
        return self.values != self.asked

    def forget(self) -> None:
        self.asked = dict(self.values)


def compiled(vault: Vault | None, text: str, **files: str) -> Desired:
    return Compiler(Policy(), vault).compile(revision("r", {"sites/shop.yaml": SITE + text, **files}))


def test_a_changed_secret_is_another_release_and_nothing_shows_its_value() -> None:
    text = "secrets: {A: 'host:a', /run/secrets/b: 'host:b'}\n"
    one = compiled(Vault(**{"host:a": MARK, "host:b": "x"}), text)
    two = compiled(Vault(**{"host:a": MARK + "2", "host:b": "x"}), text)
    assert one.sites["shop"].release != two.sites["shop"].release
    assert [(row.target, row.source, row.is_file) for row in one.sites["shop"].services[0].spec.secrets] == [
        ("/run/secrets/b", "host:b", True),
        ("A", "host:a", False),
    ]
    assert MARK not in repr(one)
    assert MARK not in canonical(one.sites["shop"])


def test_a_missing_secret_holds_its_site_at_its_place() -> None:
    desired = compiled(Vault(), "services:\n  a: {secrets: {A: 'host:a'}}\n  b: {}\n")
    assert [str(problem) for problem in desired.problems] == ["sites/shop.yaml:4:20 secrets.A: host:a is not there. Write it."]
    assert list(desired.held) == ["shop"]


def test_one_that_appears_without_a_commit_is_found() -> None:
    vault, files = Vault(), revision("r", {"sites/shop.yaml": SITE + "secrets: {A: 'host:a'}\n"})
    compiler = Compiler(Policy(), vault)
    assert compiler.compile(files).held
    vault.values["host:a"] = "now"
    desired = compiler.compile(files)
    assert not desired.held
    assert compiler.compile(files) is desired, "and nothing is done again while nothing changes"


def test_a_check_without_a_vault_looks_only_for_files_of_the_repository() -> None:
    assert not compiled(None, "secrets: {A: 'host:a'}\n").problems
    (problem,) = compiled(None, "secrets: {A: 'age:secrets/a.age'}\n").problems
    assert str(problem).startswith("sites/shop.yaml:3:14 secrets.A: secrets/a.age is no file of the repository.")
    assert not compiled(None, "secrets: {A: 'age:secrets/a.age'}\n", **{"secrets/a.age": "x"}).problems


def test_a_site_without_secrets_has_the_fingerprint_that_it_had() -> None:
    assert canonical(ContainerSpec("a", 1, secrets=())) == '{"image":"a","port":1}'
    assert canonical(SecretRef("A", "host:a")) == '{"source":"host:a","target":"A"}'


def test_a_value_prints_itself_redacted() -> None:
    value = SecretValue(MARK.encode())
    assert f"{value} {value!r} {[value]} {(('A', value),)}".count("***") == 4
    assert MARK not in f"{value} {value!r} {[value]}"
    assert value.reveal() == MARK.encode()


def test_each_secret_is_asked_for_once_however_many_services_have_it() -> None:
    asked: list[str] = []

    class Counting(Vault):
        def digest(self, site: str, source: str, revision: Revision) -> str:
            asked.append(source)
            return super().digest(site, source, revision)

    site = SITE + "secrets: {A: 'host:a', B: 'host:gone'}\nservices: {x: {}, y: {}, z: {}}\n"
    desired = Compiler(Policy(), Counting(**{"host:a": "1"})).compile(revision("r", {"sites/shop.yaml": site}))
    assert asked == ["host:a", "host:gone"]
    assert [problem.key for problem in desired.problems] == ["secrets.B"]
