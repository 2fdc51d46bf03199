"""Webhooks: every row of bad input gets its status, says nothing, and causes nothing; a good one causes one fetch."""

import base64
import hashlib
import hmac
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lab.host import until
from lab.ports import Ports
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from reconciler.errors import SettingsError
from reconciler.settings import load_settings
from reconciler.web import hooks
from reconciler.web.app import build_app
from reconciler.web.hooks import MAX_BODY, Hooks, hook_routes
from reconciler.web.latest import Latest
from reconciler.web.payloads import Hint
from reconciler.web.server import serving

SECRET = "correct horse battery staple"  # noqa: S105  of these tests
URL, BRANCH = "https://git.example.com/team/desired-state.git", "main"
NOW = 1_800_000_000.0
GITHUB = {"ref": "refs/heads/main", "repository": {"full_name": "team/desired-state", "clone_url": URL, "html_url": URL[:-4]}}
GITLAB = {"object_kind": "push", "ref": "refs/heads/main", "project": {"path_with_namespace": "team/desired-state", "git_http_url": URL}}
CLOUD = {
    "push": {"changes": [{"new": {"type": "branch", "name": "main"}, "old": None}]},
    "repository": {"full_name": "team/desired-state", "links": {"html": {"href": "https://bitbucket.org/team/desired-state"}}},
}
DATA_CENTER = {
    "changes": [{"ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}, "refId": "refs/heads/main", "type": "UPDATE"}],
    "repository": {"slug": "desired-state", "links": {"clone": [{"href": "ssh://git@git.example.com:7999/team/desired-state.git"}]}},
}


def digest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, secret: str = SECRET) -> dict[str, str]:
    sha1 = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    signed = {"X-Hub-Signature-256": f"sha256={digest(body, secret)}", "X-Hub-Signature": f"sha1={sha1}"}
    return {"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e", "X-GitHub-Hook-ID": "1", **signed}


def gitlab(body: bytes, secret: str = SECRET) -> dict[str, str]:  # noqa: ARG001  it sends the token itself
    return {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": "13792a34", "X-Gitlab-Token": secret}


def gitea(body: bytes, secret: str = SECRET) -> dict[str, str]:
    gogs = {"X-Gogs-Event": "push", "X-Gogs-Delivery": "f6266f16", "X-Gogs-Signature": digest(body, secret)}
    own = {"X-Gitea-Event": "push", "X-Gitea-Delivery": "f6266f16", "X-Gitea-Signature": digest(body, secret)}
    return {**github(body, secret), **gogs, **own}


def forgejo(body: bytes, secret: str = SECRET) -> dict[str, str]:
    own = {"X-Forgejo-Event": "push", "X-Forgejo-Delivery": "f6266f16", "X-Forgejo-Signature": digest(body, secret)}
    return {**gitea(body, secret), **own}


def bitbucket(body: bytes, secret: str = SECRET) -> dict[str, str]:
    named = {"X-Event-Key": "repo:push", "X-Hook-UUID": "a", "X-Request-UUID": "b", "X-Attempt-Number": "1"}
    return {**named, "X-Hub-Signature": f"sha256={digest(body, secret)}"}


def signing_token(body: bytes, at: float = NOW, key: bytes = b"0" * 32) -> dict[str, str]:
    """GitLab's newer form."""
    signed = hmac.new(key, b"msg_1." + str(int(at)).encode() + b"." + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(b'another').decode()} v1,{base64.b64encode(signed).decode()}"
    return {"X-Gitlab-Event": "Push Hook", "webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": signature}


PROVIDERS: dict[str, tuple[Callable[[bytes], dict[str, str]], dict[str, Any]]] = {
    "github": (github, GITHUB),
    "gitlab": (gitlab, GITLAB),
    "gitea": (gitea, GITHUB),
    "forgejo": (forgejo, GITHUB),
    "bitbucket": (bitbucket, CLOUD),
}


class Desk:
    """The routes, with a clock of the test's, and how often they asked for a fetch."""

    def __init__(self, secret: str = SECRET, **options: Any) -> None:
        self.fetches, self.now = 0, 100.0
        self.hooks = Hooks(
            secret, lambda hint: hint.concerns(URL, BRANCH), self._fetch, clock=lambda: self.now, wall=lambda: NOW, **options
        )
        self.app = build_app(Latest(), self.hooks.routes())
        self.client = TestClient(self.app)

    def _fetch(self) -> None:
        self.fetches += 1

    def post(self, provider: str, body: bytes, headers: dict[str, Any]) -> tuple[int, str]:
        done = self.client.post(f"/hooks/{provider}", content=body, headers=headers)
        return done.status_code, done.text


@pytest.fixture
def desk() -> Desk:
    return Desk()


def body_of(payload: Any) -> bytes:
    return json.dumps(payload, indent=1).encode()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_push_that_is_signed_causes_a_fetch(desk: Desk, provider: str) -> None:
    headers, payload = PROVIDERS[provider]
    body = body_of(payload)
    assert desk.post(provider, body, headers(body)) == (202, "accepted\n")
    assert desk.fetches == 1


def test_a_push_to_a_bitbucket_data_center(desk: Desk) -> None:
    body = body_of(DATA_CENTER)
    assert desk.post("bitbucket", body, {"X-Event-Key": "repo:refs_changed", "X-Request-Id": "1", **bitbucket(body)})[0] == 202
    assert desk.fetches == 1


def test_gitlab_with_a_signing_token() -> None:
    desk = Desk(f"whsec_{base64.b64encode(b'0' * 32).decode()}")
    body = body_of(GITLAB)
    assert desk.post("gitlab", body, signing_token(body)) == (202, "accepted\n")
    assert desk.fetches == 1
    for headers in (
        signing_token(body, key=b"1" * 32),
        signing_token(body, at=NOW - 301),
        signing_token(body, at=NOW + 301),
        signing_token(body) | {"webhook-timestamp": str(int(NOW) + 1)},
        signing_token(body) | {"webhook-timestamp": "now"},
        signing_token(body) | {"webhook-id": "msg_2"},
        signing_token(body, key=b"1" * 32) | {"X-Gitlab-Token": SECRET},
    ):
        assert desk.post("gitlab", body, headers) == (401, "unauthorized\n"), headers
    assert desk.fetches == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_signed_with_our_secret_is_refused(desk: Desk, provider: str) -> None:
    """No signature, another secret, another body, an empty one; nothing is said of why."""
    headers, payload = PROVIDERS[provider]
    body = body_of(payload)
    good = headers(body)
    (name,) = [key for key in good if key.lower() == hooks_header(provider)]
    rows: list[dict[str, Any]] = [
        {key: value for key, value in good.items() if "signature" not in key.lower() and "token" not in key.lower()},
        headers(body, "another secret"),  # type: ignore[call-arg]
        good | {name: ""},
        good | {name: f"{good[name]} "[1:]},
    ]
    for row in rows:
        assert desk.post(provider, body, row) == (401, "unauthorized\n"), row
    if provider != "gitlab":  # its token does not depend on the body
        assert desk.post(provider, body + b" ", good) == (401, "unauthorized\n")
    assert desk.fetches == 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wrong", ["é".encode(), b"\xff\xfe", b"\xef\xbc\x91"], ids=["letter", "bytes", "digit"])
def test_a_signature_that_is_not_ascii_is_refused(desk: Desk, provider: str, wrong: bytes) -> None:
    """In the place of its last character, and alone: what compares texts falls over it."""
    headers, payload = PROVIDERS[provider]
    body = body_of(payload)
    good = headers(body)
    (name,) = [key for key in good if key.lower() == hooks_header(provider)]
    for value in (good[name][:-1].encode() + wrong, wrong):
        assert desk.post(provider, body, good | {name: value}) == (401, "unauthorized\n")
    assert desk.fetches == 0


@pytest.mark.parametrize("name", ["webhook-signature", "webhook-timestamp", "webhook-id"])
def test_a_signing_token_that_is_not_ascii_is_refused(name: str) -> None:
    desk, body = Desk(f"whsec_{base64.b64encode(b'0' * 32).decode()}"), body_of(GITLAB)
    good = signing_token(body)
    for wrong in ("é".encode(), b"\xff\xfe", b"\xef\xbc\x91"):
        headers: dict[str, Any] = good | {name: good[name][:-1].encode() + wrong}
        assert desk.post("gitlab", body, headers) == (401, "unauthorized\n")
    assert desk.fetches == 0


def hooks_header(provider: str) -> str:
    from reconciler.web.signatures import SIGNED_BY

    return SIGNED_BY[provider][-1 if provider == "gitlab" else 0].decode()  # type: ignore[index]


@pytest.mark.parametrize("provider", ["github", "bitbucket"])
def test_sha1_alone_is_refused(desk: Desk, provider: str) -> None:
    body = body_of(GITHUB)
    sha1 = hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    assert desk.post(provider, body, {"X-Hub-Signature": f"sha1={sha1}"}) == (401, "unauthorized\n")


@pytest.mark.parametrize(
    ("provider", "header"),
    [
        ("github", "X-Gitlab-Token"),
        ("github", "X-Gitea-Signature"),
        ("github", "X-Event-Key"),
        ("gitlab", "X-Hub-Signature-256"),
        ("gitlab", "X-GitHub-Event"),
        ("gitea", "X-Gitlab-Event"),
        ("gitea", "X-Forgejo-Signature"),
        ("forgejo", "X-Gitlab-Token"),
        ("bitbucket", "X-GitHub-Event"),
        ("bitbucket", "webhook-signature"),
    ],
)
def test_headers_of_two_providers_are_refused(desk: Desk, provider: str, header: str) -> None:
    headers, payload = PROVIDERS[provider]
    body = body_of(payload)
    assert desk.post(provider, body, headers(body) | {header: "x"}) == (400, "bad request\n")
    assert desk.fetches == 0


def test_two_signatures_are_refused(desk: Desk) -> None:
    body = body_of(GITHUB)
    signed = ("X-Hub-Signature-256", f"sha256={digest(body)}")
    done = desk.client.post("/hooks/github", content=body, headers=[signed, signed])
    assert (done.status_code, desk.fetches) == (400, 0)


def test_what_is_too_large_is_refused_with_or_without_a_signature(desk: Desk) -> None:
    """By its Content-Length at once; in chunks as soon as it shows."""
    body = b"1" * (MAX_BODY + 1)
    assert desk.post("github", body, github(body)) == (413, "content too large\n")
    assert desk.post("github", body, {}) == (413, "content too large\n")
    done = desk.client.post("/hooks/github", content=iter([body[:MAX_BODY], body[:2]]), headers=github(body))
    assert done.status_code == 413
    assert desk.post("github", b"1" * MAX_BODY, github(b"1" * MAX_BODY))[0] == 400, "as much as that is read: it is no object"


@pytest.mark.parametrize("body", [b"", b"{", b"payload=%7B%7D", b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"1" * 5000, b"[]", b'"ref"'])
def test_what_is_no_json_is_refused_after_the_signature(desk: Desk, body: bytes) -> None:
    assert desk.post("github", body, github(body)) == (400, "bad request\n")
    assert desk.post("github", body, github(body, "another")) == (401, "unauthorized\n")
    assert desk.fetches == 0


def with_ref(ref: Any) -> dict[str, Any]:
    return {**GITHUB, "ref": ref}


@pytest.mark.parametrize(
    "payload",
    [
        with_ref("refs/heads/other"),
        with_ref("refs/heads/mai"),
        with_ref("refs/tags/main"),
        with_ref("main"),
        with_ref(None),
        with_ref(["refs/heads/main"]),
        {**GITHUB, "repository": {"full_name": "team/other", "clone_url": "https://git.example.com/team/other.git"}},
        {**GITHUB, "repository": {"full_name": "xteam/desired-state"}},
        {**GITHUB, "repository": {"name": "desired-state", "url": "https://[broken"}},
        {**GITHUB, "repository": "team/desired-state"},
        {"zen": "Keep it logically awesome.", "repository": GITHUB["repository"]},
        {"push": {"changes": [{"new": None}, 7]}, "repository": CLOUD["repository"]},
        {},
    ],
)
def test_another_repository_or_branch_is_ignored(desk: Desk, payload: dict[str, Any]) -> None:
    body = body_of(payload)
    assert desk.post("github", body, github(body)) == (202, "ignored\n")
    assert desk.fetches == 0


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("git@git.example.com:team/desired-state.git", "https://git.example.com/Team/Desired-State"),
        ("ssh://git@10.0.0.5:2222/team/desired-state", "https://git.example.com/team/desired-state.git"),
        ("https://git.example.com/scm/team/desired-state.git", "ssh://git@git.example.com:7999/team/desired-state.git"),
        ("/srv/git/team/desired-state.git", "team/desired-state"),
        ("file:///srv/git/desired-state.git", "/srv/git/desired-state.git"),
    ],
)
def test_one_repository_has_many_addresses(ours: str, theirs: str) -> None:
    assert Hint(frozenset({theirs}), frozenset({"refs/heads/main"})).concerns(ours, "main")


@pytest.mark.parametrize(
    ("provider", "payload"),
    [
        ("github", with_ref("refs/tags/v1")),
        ("gitlab", {**GITLAB, "object_kind": "tag_push", "ref": "refs/tags/v1"}),
        ("gitea", with_ref("refs/tags/v1")),
        ("forgejo", with_ref("refs/tags/v1")),
        ("bitbucket", {**CLOUD, "push": {"changes": [{"new": {"type": "tag", "name": "v1"}, "old": None}]}}),
        ("bitbucket", {**DATA_CENTER, "changes": [{"ref": {"id": "refs/tags/v1", "displayId": "v1", "type": "TAG"}, "type": "ADD"}]}),
    ],
)
def test_a_tag_causes_a_fetch_where_tags_say_what_runs(tmp_path: Path, provider: str, payload: dict[str, Any]) -> None:
    body, config = body_of(payload), tmp_path / "config.toml"
    for verify, answer in (("tag", "accepted\n"), ("commit", "ignored\n"), ("", "ignored\n")):
        config.write_text(
            f'[source]\nurl = "{URL}"\nverify = "{verify}"\nallowed_signers = "{tmp_path}/signers"\n[webhooks]\nsecret = "{SECRET}"\n'
        )
        fetched: list[None] = []
        client = TestClient(build_app(Latest(), hook_routes(load_settings(config), lambda fetched=fetched: fetched.append(None))))
        done = client.post(f"/hooks/{provider}", content=body, headers=PROVIDERS[provider][0](body))
        assert (done.text, len(fetched)) == (answer, verify == "tag")


def test_another_method_is_refused(desk: Desk) -> None:
    for provider in PROVIDERS:
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            assert desk.client.request(method, f"/hooks/{provider}").status_code == 405
    assert desk.client.post("/hooks/sourceforge").status_code == 404


def test_the_same_delivery_again_has_no_second_effect(desk: Desk) -> None:
    body = body_of(GITHUB)
    assert desk.post("github", body, github(body)) == (202, "accepted\n")
    desk.now += 60
    assert desk.post("github", body, github(body)) == (202, "ignored\n")
    assert desk.fetches == 1
    assert desk.post("github", body, github(body) | {"X-GitHub-Delivery": "another"}) == (202, "accepted\n")
    assert desk.fetches == 2


def test_many_pushes_are_few_fetches_and_the_last_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "EVERY", 3.0)
    desk = Desk()
    with TestClient(desk.app) as client:
        for n in range(20):
            body = body_of({**GITHUB, "after": str(n)})
            assert client.post("/hooks/github", content=body, headers=github(body)).text == "accepted\n"
        assert desk.fetches == 1
        desk.now += 3.0
        until(lambda: desk.fetches == 2, "the fetch after the last push", 10)
        desk.now += 10
        body = body_of({**GITHUB, "after": "later"})
        client.post("/hooks/github", content=body, headers=github(body))
        assert desk.fetches == 3


def test_the_same_reason_is_said_once_a_minute(desk: Desk) -> None:
    with capture_logs() as said:
        for _ in range(50):
            desk.post("github", b"{}", {})
        assert [row["unsaid_before"] for row in said] == [0]
        assert said[0]["reason"].startswith("it has no x-hub-signature-256: ")
        desk.now += hooks.QUIET
        desk.post("github", b"{}", {})
        assert [row["unsaid_before"] for row in said] == [0, 49]


def test_without_a_secret_there_is_no_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[source]\nurl = "{URL}"\n')
    assert hook_routes(load_settings(config), lambda: None) == []
    client = TestClient(build_app(Latest(), hook_routes(load_settings(config), lambda: None)))
    assert client.post("/hooks/github").status_code == 404
    monkeypatch.setenv("SHIPSTONE_WEBHOOKS__SECRET", SECRET)
    settings = load_settings(config)
    assert SECRET not in f"{settings!r} {settings}"
    assert len(hook_routes(settings, lambda: None)) == 5


def test_the_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o640)
    monkeypatch.setenv("SHIPSTONE_WEBHOOKS__SECRET_FILE", str(file))
    assert load_settings(None).webhooks.secret.get_secret_value() == SECRET
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="every user of this host can read it"):
        load_settings(None)
    file.unlink()
    with pytest.raises(SettingsError, match="there is no file"):
        load_settings(None)


# The server itself, over real sockets.


@contextmanager
def served(desk: Desk) -> Iterator[int]:
    ports = Ports()
    port = ports.take()
    with serving(desk.app, f"127.0.0.1:{port}"):
        yield port
    ports.close()


def answer(connection: socket.socket) -> bytes:
    """All of it, until the server closes the connection."""
    connection.settimeout(10)
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def head(body: bytes, length: int) -> bytes:
    rows = {"Host": "x", "Content-Length": str(length), **github(body)}
    return b"POST /hooks/github HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in rows.items()).encode() + b"\r\n"


def test_a_body_without_end_is_given_up() -> None:
    with served(Desk(patience=0.2)) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head(b"{}", 100) + b"{")
        said = answer(connection)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert said.endswith(b"\r\n\r\nrequest timeout\n")


def test_a_large_request_gets_its_answer_while_it_is_still_being_sent() -> None:
    """Over 1 MiB, and unsigned: both without a byte of the body."""
    for sent, status in (
        (head(b"{}", 10_000_000), b"413"),
        (b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"401"),
    ):
        with served(Desk()) as port, socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(sent)
            connection.settimeout(10)
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_who_sends_on_after_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.connections.LINGER", 0.2)
    with served(Desk()) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head(b"{}", 10_000_000))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")

        def cut() -> bool:
            try:
                connection.sendall(b"1")
            except OSError:
                return True
            return False

        until(cut, "the connection is gone", 10)


def test_a_head_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.web.connections.HEAD", 1.0)
    with served(Desk()) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /hooks/github HTTP/1.1\r\nHost: x\r\n")
        connection.settimeout(10)
        assert connection.recv(1) == b""


def test_many_who_only_hold_a_connection_keep_nobody_out() -> None:
    """More than there are places: the oldest gives up its own."""
    with served(Desk()) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
        for one in held[:300:2]:
            try:
                one.sendall(b"POST /hooks/github HT")
            except OSError:
                continue  # it lost its place already
        until(lambda: healthy(port), "the page answers all the same", 5)
        for one in held:
            one.close()


def test_many_slow_bodies_keep_nobody_out() -> None:
    with served(Desk()) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for one in held:
            one.sendall(head(b"{}", 100))
        assert healthy(port)
        refused = answer(held[-1])
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\n\r\nbusy\n" in refused
        for one in held:
            one.close()


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_one_connection_serves_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept open, and what comes right after a refused request, is answered in its order."""
    monkeypatch.setattr(hooks, "EVERY", 600.0)
    desk = Desk()
    with served(desk) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for n in range(3):
            body = body_of({**GITHUB, "after": n})
            for headers, status in (({}, 401), (github(body), 202)):
                connection.request("POST", "/hooks/github", body, headers)
                done = connection.getresponse()
                assert (done.status, done.read() != b"") == (status, True)
        connection.close()
    assert desk.fetches == 1
