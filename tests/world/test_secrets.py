"""Secrets of this host and of the repository: whose they are, who may read them, what is said where one cannot be had."""

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reconciler.desired.compile import Compiler
from reconciler.desired.policy import Grant, Policy
from reconciler.desired.refusal import Refusal
from reconciler.desired.revision import Entry, Revision
from reconciler.desired.spec import SecretRef
from reconciler.errors import ShipstoneError
from reconciler.world.age_files import identities_of, new_identity, recipients_of, seal, unseal
from reconciler.world.secrets import SecretStore

MARK = "m4rked-secret"
AGE = {"sops": {"age": [{"recipient": "age1x", "enc": "x"}], "kms": [], "mac": "x", "encrypted_regex": "^x$"}}
NOTHING = Revision("", {}, lambda _path: b"")


class Place:
    """A host's folders and its store; another one with the same folders is the same host after a restart."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.folder, self.policy = folder, policy or Policy()
        self.dir, self.credentials, self.identity, self.key = (folder / name for name in ("dir", "credentials", "identity", "state/key"))
        self.store = SecretStore(self.dir, lambda name: self.credentials / name, self.identity, self.key, self.policy)

    def write(self, path: str, text: str, mode: int = 0o600) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)
        return place

    def value(self, site: str, source: str, revision: Revision = NOTHING, target: str = "A") -> bytes:
        ((_, found),) = self.store.values(site, [SecretRef(target, source)], revision)
        return found.reveal()

    def refused(self, site: str, source: str, revision: Revision = NOTHING) -> str:
        with pytest.raises(Refusal) as refusal:
            self.store.digest(site, source, revision)
        with pytest.raises(ShipstoneError) as error:
            self.store.values(site, [SecretRef("A", source)], revision)
        assert str(error.value) == f"cannot give A to a container of {site}: {refusal.value.message}"
        assert MARK not in str(error.value)
        assert "\n" not in str(error.value)
        return refusal.value.message


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def holding(files: Mapping[str, bytes]) -> Revision:
    return Revision(
        "r", {path: Entry(f"id-{path}-{hash(data)}", "file", len(data)) for path, data in files.items()}, lambda path: files[path]
    )


class TestOfThisHost:
    def test_a_sites_own(self, place: Place) -> None:
        place.write("dir/shop/db", MARK + "\n")
        assert place.value("shop", "host:db") == MARK.encode(), "a variable has no line break at its end"
        assert place.value("shop", "host:db", target="/run/secrets/db") == f"{MARK}\n".encode(), "a file is as it is"

    def test_a_credential_by_its_name(self, place: Place) -> None:
        place.write("credentials/secret.shop.db", MARK)
        assert place.value("shop", "host:db") == MARK.encode()

    def test_none_of_another_site(self, place: Place) -> None:
        place.write("dir/shop/db", MARK)
        place.write("dir/db", MARK)
        place.write("credentials/shared.db", MARK)
        message = place.refused("blog", "host:db")
        assert message == (
            f"the secret db is not on this host. Have its administrator write it into {place.dir}/blog/db, "
            "or ask the host's administrator for [policy] secrets, or [policy.sites.blog] secrets."
        )

    def test_a_shared_one_where_the_policy_names_it(self, tmp_path: Path) -> None:
        for policy in (Policy(secrets=("d*",)), Policy(grants=(Grant("blog", {"secrets": ("db",)}),))):
            place = Place(tmp_path, policy)
            place.write("dir/db", MARK)
            assert place.value("blog", "host:db") == MARK.encode()
        assert "is not on this host" in place.refused("shop", "host:db"), "granted to another"
        place.write("dir/blog/db", "its own")
        assert place.value("blog", "host:db") == b"its own"

    @pytest.mark.parametrize("mode", [0o604, 0o644, 0o602])
    def test_one_that_every_user_can_read_is_refused(self, place: Place, mode: int) -> None:
        path = place.write("dir/shop/db", MARK, mode)
        assert place.refused("shop", "host:db") == (
            f"host:db cannot be used: cannot use {path}: every user of this host can read it, or write it. chmod o= {path}."
        )

    def test_what_no_variable_can_hold(self, place: Place) -> None:
        place.write("dir/shop/db", "")
        (place.dir / "shop/db").write_bytes(b"\xff" + MARK.encode())
        with pytest.raises(ShipstoneError, match="it is no text, so no variable can hold it") as error:
            place.value("shop", "host:db")
        assert MARK not in str(error.value)
        assert place.value("shop", "host:db", target="/run/secrets/db") == b"\xff" + MARK.encode()

    def test_a_new_one_is_noticed(self, place: Place) -> None:
        place.refused("shop", "host:db")
        assert not place.store.changed()
        place.write("dir/shop/db", MARK)
        assert place.store.changed()
        place.store.forget()
        assert not place.store.changed()

    def test_one_that_changes_while_a_commit_is_compiled_is_noticed(self, place: Place) -> None:
        """The value that was read is the one before."""

        class Rotated(SecretStore):
            def digest(self, site: str, source: str, revision: Revision) -> str:
                found = super().digest(site, source, revision)
                place.write("dir/shop/db", MARK + "2")
                return found

        place.write("dir/shop/db", MARK)
        site = b"image: app:1\nport: 80\nsecrets: {A: 'host:db'}\n"
        files = holding({"sites/shop.yaml": site})
        vault = Rotated(place.dir, lambda name: place.credentials / name, place.identity, place.key, place.policy)
        compiler = Compiler(place.policy, vault)
        first = compiler.compile(files)
        second = compiler.compile(files)
        assert first.sites["shop"].release != second.sites["shop"].release


class TestDigests:
    def test_the_same_until_the_value_changes(self, place: Place) -> None:
        place.write("dir/shop/db", MARK)
        first = place.store.digest("shop", "host:db", NOTHING)
        assert Place(place.folder).store.digest("shop", "host:db", NOTHING) == first
        place.write("dir/shop/db", MARK + "2")
        second = place.store.digest("shop", "host:db", NOTHING)
        assert second != first
        assert second.partition(".")[0] == first.partition(".")[0], "under one key"
        assert MARK not in first + second

    def test_they_say_nothing_of_equal_values(self, place: Place) -> None:
        for path in ("dir/shop/db", "dir/shop/other", "dir/blog/db"):
            place.write(path, MARK)
        rows = [("shop", "host:db"), ("shop", "host:other"), ("blog", "host:db")]
        assert len({place.store.digest(site, source, NOTHING) for site, source in rows}) == 3

    def test_without_the_key_nobody_can_try_values(self, place: Place) -> None:
        place.write("dir/shop/db", MARK)
        first = place.store.digest("shop", "host:db", NOTHING)
        assert stat.S_IMODE(place.key.stat().st_mode) == 0o600
        assert [path.name for path in place.key.parent.iterdir()] == ["key"]
        place.key.unlink()
        second = Place(place.folder).store.digest("shop", "host:db", NOTHING)
        assert second.partition(".")[0] != first.partition(".")[0]

    def test_a_key_that_others_can_read_is_refused(self, place: Place) -> None:
        place.write("dir/shop/db", MARK)
        place.write("state/key", "k" * 32, 0o644)
        with pytest.raises(ShipstoneError, match="every user of this host can read it"):
            place.store.digest("shop", "host:db", NOTHING)


class TestOfTheRepository:
    @pytest.fixture
    def public(self, place: Place) -> str:
        text, public = new_identity()
        place.write("identity", text)
        return public

    def sealed(self, public: str, *sites: str, value: str = MARK) -> Revision:
        return holding({"secrets/db.age": seal(value.encode(), sites, recipients_of([public], "x"))})

    def test_for_its_sites(self, place: Place, public: str) -> None:
        files = self.sealed(public, "shop", "blog")
        assert place.value("shop", "age:secrets/db.age", files) == MARK.encode()
        assert place.value("blog", "age:secrets/db.age", files) == MARK.encode()

    def test_whoever_copies_the_file_of_another_site_gets_nothing(self, place: Place, public: str) -> None:
        message = place.refused("blog", "age:secrets/db.age", self.sealed(public, "shop"))
        assert message == "age:secrets/db.age cannot be used: it is for shop. Encrypt it for blog: shipstone secrets encrypt --site blog."

    def test_without_an_identity(self, place: Place) -> None:
        _, public = new_identity()
        assert f"there is no identity at {place.identity}" in place.refused("shop", "age:secrets/db.age", self.sealed(public, "shop"))
        place.write("identity", "nonsense " + MARK)
        assert "it holds no age identity" in place.refused("shop", "age:secrets/db.age", self.sealed(public, "shop"))

    def test_for_another_host(self, place: Place, public: str) -> None:  # noqa: ARG002  an identity is there
        message = place.refused("shop", "age:secrets/db.age", self.sealed(new_identity()[1], "shop"))
        assert "it is encrypted for others than this host" in message

    @pytest.mark.parametrize("data", [b"", MARK.encode(), b"-----BEGIN AGE ENCRYPTED FILE-----\n"])
    def test_a_damaged_file(self, place: Place, public: str, data: bytes) -> None:  # noqa: ARG002
        message = place.refused("shop", "age:secrets/db.age", holding({"secrets/db.age": data}))
        assert "it is no age file, or damaged" in message

    def test_a_file_of_age_alone_does_not_say_whose_it_is(self, place: Place, public: str) -> None:
        import pyrage

        data = pyrage.encrypt(MARK.encode(), recipients_of([public], "x"))
        assert "it does not say whose it is" in place.refused("shop", "age:secrets/db.age", holding({"secrets/db.age": data}))

    def test_an_ssh_key_may_be_the_identity(self, place: Place) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place.identity)], check=True)
        public = (place.folder / "identity.pub").read_text()
        assert place.value("shop", "age:secrets/db.age", self.sealed(public, "shop")) == MARK.encode()

    def test_a_value_may_be_anything(self) -> None:
        text, public = new_identity()
        for value in (b"", b"\n\n", b"\0\xff\n", b"shipstone-sites: x\n\ny"):
            sealed = seal(value, ["a"], recipients_of([public], "x"))
            assert unseal(sealed, identities_of(text.encode(), "x")) == (("a",), value)


class TestSops:
    """A stand-in for the program says what it was asked, and how often."""

    @pytest.fixture
    def sops(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
        place = Place(tmp_path)
        place.write("identity", new_identity()[0])
        program = place.write("bin/sops", '#!/bin/sh\nenv > "$0.env"; echo "$@" >> "$0.args"; cat "$6"\n', 0o700)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setenv("VAULT_TOKEN", MARK)
        return place

    def document(self, **values: object) -> Revision:
        return holding({"secrets/db.yaml": json.dumps({"shipstone_sites": ["shop"], **AGE, **values}).encode()})

    def test_a_value_at_its_key(self, sops: Place) -> None:
        files = self.document(db={"password": MARK, "port": 5432})
        assert sops.value("shop", "sops:secrets/db.yaml#db.password", files) == MARK.encode()
        assert sops.value("shop", "sops:secrets/db.yaml#db.port", files) == b"5432"

    def test_what_cannot_be_decrypted_is_tried_once(self, sops: Place) -> None:
        runs = sops.write("bin/sops", '#!/bin/sh\necho >> "$0.runs"\nexit 1\n', 0o700).with_name("sops.runs")
        files = self.document(a=MARK)
        for key in ("a", "b", "c"):
            with pytest.raises(Refusal, match="sops cannot decrypt it"):
                sops.store.digest("shop", f"sops:secrets/db.yaml#{key}", files)
        assert len(runs.read_text()) == 1
        sops.store.forget()
        with pytest.raises(Refusal):
            sops.store.digest("shop", "sops:secrets/db.yaml#a", files)
        assert len(runs.read_text()) == 1, "nor in the next one: nothing changed that could help"

    def test_the_program_gets_the_identity_and_nothing_else_of_this_host(self, sops: Place) -> None:
        """A file names servers that sops asks: it must have nothing to send."""
        sops.value("shop", "sops:secrets/db.yaml#a", self.document(a="xxxx"))
        names = {line.partition("=")[0] for line in (sops.folder / "bin/sops.env").read_text().splitlines()}
        assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {
            "PATH",
            "HOME",
            "SOPS_AGE_KEY_FILE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
        }
        assert MARK not in (sops.folder / "bin/sops.args").read_text()

    def test_for_its_sites_only(self, sops: Place) -> None:
        assert "it is for shop" in sops.refused("blog", "sops:secrets/db.yaml#a", self.document(a=MARK))
        assert "it is for no site" in sops.refused(
            "shop", "sops:secrets/db.yaml#a", holding({"secrets/db.yaml": json.dumps({"a": MARK, **AGE}).encode()})
        )

    def test_a_site_may_be_called_as_a_number_is(self, sops: Place) -> None:
        """What is no list of names is none, and stops nobody else."""
        files = holding({"secrets/db.yaml": json.dumps({"shipstone_sites": 2048, "a": MARK, **AGE}).encode()})
        assert sops.value("2048", "sops:secrets/db.yaml#a", files) == MARK.encode()
        for odd in (None, True, {"shop": 1}):
            document = holding({"secrets/db.yaml": json.dumps({"shipstone_sites": odd, "a": MARK, **AGE}).encode()})
            assert "it is for" in sops.refused("shop", "sops:secrets/db.yaml#a", document)

    def test_no_such_key(self, sops: Place) -> None:
        for key in ("b", "a.b", "c"):
            assert f"there is no text at {key} in it" in sops.refused(
                "shop", f"sops:secrets/db.yaml#{key}", self.document(a=MARK, c={"d": 1})
            )

    def test_a_failure_shows_nothing(self, sops: Place) -> None:
        sops.write("bin/sops", f"#!/bin/sh\necho {MARK} >&2; exit 128\n", 0o700)
        assert "sops cannot decrypt it (exit 128)" in sops.refused("shop", "sops:secrets/db.yaml#a", self.document(a=MARK))

    def test_without_the_program_until_it_is_there(self, sops: Place) -> None:
        (sops.folder / "bin/sops").rename(sops.folder / "bin/away")
        assert "the program sops is not on this host" in sops.refused("shop", "sops:secrets/db.yaml#a", self.document(a=MARK))
        (sops.folder / "bin/away").rename(sops.folder / "bin/sops")
        assert sops.value("shop", "sops:secrets/db.yaml#a", self.document(a=MARK)) == MARK.encode()

    def test_a_failure_is_not_tried_again_until_the_file_or_the_identity_is_another_one(self, sops: Place) -> None:
        """Each try may take half a minute of a pass."""
        program = sops.write("bin/sops", '#!/bin/sh\necho >> "$0.args"; exit 128\n', 0o700)
        asked = program.with_name("sops.args")

        def times(**values: str) -> int:
            sops.refused("shop", "sops:secrets/db.yaml#a", self.document(**values))
            return len(asked.read_text().splitlines())

        assert (times(a=MARK), times(a=MARK), times(a="another")) == (1, 1, 2)
        sops.write("identity", new_identity()[0] + "\n")
        assert times(a=MARK) == 3

    @pytest.mark.parametrize(
        ("text", "fragment"),
        [
            ("a: 1\nsops: {age: [x], hc_vault: [{vault_address: 'http://10.0.0.1'}]}", "its metadata has hc_vault, and only age keys"),
            ("sops: {age: [x], kms: [{arn: x}], gcp_kms: [x], azure_kv: [x]}", "its metadata has azure_kv, gcp_kms, kms, and only age"),
            ("sops: {age: [x], pgp: [{fp: x}]}", "its metadata has pgp"),
            ("sops: {age: [x], key_groups: [{hc_vault: [x]}]}", "its metadata has key_groups"),
            ("sops: {age: [x], KMS: [{arn: x}]}", "its metadata has KMS"),
            ("sops: {kms: [{arn: x}]}", "no metadata of sops with an age key"),
            ("a: 1", "no metadata of sops with an age key"),
            ("sops: {age: [x]}\nSOPS: {kms: [x]}", "no metadata of sops with an age key"),
            ("sops: {age: [x]}\n\u017fops: {kms: [x]}", "no metadata of sops with an age key"),
            ("sops: {age: [x]}\nsops: {kms: [x]}", "it is no plain yaml"),
            ("b: &k {kms: [x]}\nsops: {age: [x], <<: *k}", "it is no plain yaml"),
            ("sops: {age: [x], <<: {kms: [x]}}", "it is no plain yaml"),
            ("sops: {age: [x]}\n---\nsops: {kms: [x]}", "it is no plain yaml"),
            ("sops: !!map {age: [x]}", "it is no plain yaml"),
            ("[" * 100_000, "it is no plain yaml"),
        ],
    )
    def test_a_file_that_would_make_it_ask_somebody_is_refused_before(self, sops: Place, text: str, fragment: str) -> None:
        assert fragment in sops.refused("shop", "sops:secrets/db.yaml#a", holding({"secrets/db.yaml": text.encode()}))
        assert not (sops.folder / "bin/sops.args").exists()

    def test_so_it_is_as_json_and_any_other_kind_of_file_is_refused(self, sops: Place) -> None:
        files = {
            "a.json": b'{"sops": {"age": ["x"], "hc_vault": ["x"]}}',
            "b.json": b'{"sops": {"age": ["x"]}, "sops": {"kms": ["x"]}}',
            "c.env": b"sops_kms__list_0__map_arn=x\n",
            "d.YAML": b"sops: {age: [x]}\n",
        }
        fragments = ("its metadata has hc_vault", "it is no plain json", "it is no .yaml or .json file", "it is no .yaml or .json file")
        for path, fragment in zip(files, fragments, strict=True):
            assert fragment in sops.refused("shop", f"sops:{path}#a", holding(files))
        assert not (sops.folder / "bin/sops.args").exists()


@pytest.mark.skipif(shutil.which("sops", path=f"{sys.prefix}/bin") is None, reason="the locked wheel is for x86_64 alone")
class TestTheRealSops:
    """The program itself, from the locked wheel."""

    @pytest.fixture
    def encrypted(self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Revision]:
        monkeypatch.setenv("PATH", f"{sys.prefix}/bin:/usr/bin:/bin")
        text, public = new_identity()
        place.write("identity", text)

        def encrypt(kind: str, *more: str) -> Revision:
            plain = tmp_path / f"plain.{kind}"
            plain.write_text(json.dumps({"shipstone_sites": ["shop"], "db": {"password": MARK, "port": 5432}}))
            command = ["sops", "--encrypt", "--age", public, *more, str(plain)]
            return holding({f"secrets/db.{kind}": subprocess.run(command, capture_output=True, check=True).stdout})

        return encrypt

    @pytest.mark.parametrize("kind", ["yaml", "json"])
    def test_there_and_back(self, place: Place, encrypted: Callable[..., Revision], kind: str) -> None:
        files = encrypted(kind)
        assert MARK.encode() not in files.read(f"secrets/db.{kind}")
        assert place.value("shop", f"sops:secrets/db.{kind}#db.password", files) == MARK.encode()
        assert place.value("shop", f"sops:secrets/db.{kind}#db.port", files) == b"5432"
        assert "it is for shop" in place.refused("blog", f"sops:secrets/db.{kind}#db.password", files)

    def test_for_another_host_or_by_a_server(self, place: Place, encrypted: Callable[..., Revision]) -> None:
        files = encrypted("yaml")
        named = files.read("secrets/db.yaml") + b"    hc_vault:\n        - vault_address: http://127.0.0.1:1\n"
        assert "its metadata has hc_vault" in place.refused("shop", "sops:secrets/db.yaml#db.password", holding({"secrets/db.yaml": named}))
        place.write("identity", new_identity()[0] + "\n")
        assert "sops cannot decrypt it (exit" in place.refused("shop", "sops:secrets/db.yaml#db.password", files)


def test_what_was_given_out_is_hidden_in_what_programs_write(place: Place) -> None:
    place.write("dir/shop/db", f"{MARK}\n")
    place.write("dir/shop/key", "first-line\nsecond-line\nab\n")
    place.value("shop", "host:db")
    place.value("shop", "host:key", target="/run/secrets/key")
    assert place.store.hide(f"cannot log in with {MARK}: second-line ab") == "cannot log in with ***: *** ab"
