"""What guards the page: headers, the name that is asked for, the token, forms of other pages, streams that are too many."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from lab.host import until
from lab.page import C1, Served, a_page, fleet, remember, tell
from starlette.requests import Request
from starlette.responses import Response

from reconciler.errors import SettingsError
from reconciler.planning.intents import Said
from reconciler.planning.past import past_text
from reconciler.settings import load_settings
from reconciler.web.actions import MAX_BODY
from reconciler.web.page import WRONG
from reconciler.web.sessions import COOKIE, LASTS, Sessions
from reconciler.web.stream import MOST
from tests.planning.test_plan import running, site

TOKEN = "correct horse battery staple"  # noqa: S105  of these tests
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VERBS = ("retry", "restart", "suspend", "resume", "rollback", "approve")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with a_page(tmp_path, TOKEN, ("page.example.org",)) as page:
        tell(page.latest, fleet(10))
        yield page


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=10.0) as one:
        yield one


def signed_in(client: httpx.Client, path: str = "/") -> str:
    """The word that forms carry."""
    assert client.post("/login", data={"token": TOKEN}).status_code == 303
    return client.get(path).text.partition('name="csrf" value="')[2].partition('"')[0]


def test_every_answer_forbids_what_the_page_does_not_need(client: httpx.Client) -> None:
    for path in ("/", "/sites/blog", "/api/status", "/api/nothing", "/login"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'"):
            assert part in policy.split("; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:8484", 200),
        ("[::1]:8484", 200),
        ("page.example.org", 200),
        ("PAGE.example.org:80", 200),
        ("evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_names_of_this_host_are_answered(client: httpx.Client, name: str, status: int) -> None:
    assert client.get("/", headers={"Host": name}).status_code == status
    assert client.get("/healthz", headers={"Host": name}).status_code == 200


def test_the_page_is_sent_again_only_when_it_changed(served: Served, client: httpx.Client) -> None:
    first = client.get("/")
    again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    tell(served.latest, fleet(9))
    assert client.get("/", headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    assets = [part.partition('"')[0] for part in first.text.split('"/assets/')[1:]]
    assert len(assets) == 3
    for path in assets:
        answer = client.get(f"/assets/{path}")
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/assets/0/page.css").status_code == 404
    assert client.get("/assets/0/..%2f..%2fpage.py").status_code == 404


def test_without_a_token_nothing_can_be_asked_for(tmp_path: Path) -> None:
    with a_page(tmp_path) as page, httpx.Client(base_url=page.url) as client:
        tell(page.latest, fleet(10))
        assert client.get("/login").status_code == 404
        assert "<button" not in client.get("/sites/blog").text.replace("<noscript><button>Filter</button></noscript>", "")
        for verb in VERBS:
            assert client.post(f"/api/sites/blog/{verb}", headers={"Authorization": "Bearer"}).status_code == 404
        assert client.post("/api/approve").status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer ü"}])
def test_a_wrong_token_changes_nothing(served: Served, client: httpx.Client, headers: dict[str, str]) -> None:
    raw = {key.encode(): value.encode() for key, value in headers.items()}
    for verb in VERBS:
        assert client.post(f"/api/sites/blog/{verb}", headers=raw).status_code == 401
    assert served.store.said() == ()
    assert served.looked == []


def test_half_a_character_is_a_wrong_token(served: Served, client: httpx.Client) -> None:
    """JSON can write it; no text has it."""
    for field in ("token", "csrf", "release"):
        body, kind = b'{"%s": "\\ud800"}' % field.encode(), {"Content-Type": "application/json"}
        answer = client.post("/login", content=body, headers=kind)
        assert (answer.status_code, "Traceback" in answer.text) == (403, False)
        assert answer.elapsed.total_seconds() >= WRONG, "guessing is no quicker"
        assert client.post("/api/sites/blog/rollback", content=body, headers={**BEARER, **kind}).status_code == 400
    assert served.store.said() == ()


def test_the_bearer_says_what_the_command_line_says(served: Served, client: httpx.Client) -> None:
    def ask(verb: str, site: str = "blog", **more: str) -> tuple[int, str]:
        answer = client.post(f"/api/sites/{site}/{verb}", headers=BEARER, json=more)
        found = answer.json()
        return answer.status_code, found.get("said") or found["error"]

    assert ask("suspend") == (202, "suspended")
    assert served.store.said() == (Said("suspend", "blog"),)
    assert ask("resume") == (202, "the repository counts again")
    assert ask("resume") == (202, "was neither suspended nor rolled back")
    assert ask("retry")[0] == 202
    code, text = ask("restart")
    assert (code, text) == (202, "is restarted")
    (restart,) = [row for row in served.store.said() if row.kind == "restart"]
    assert json.loads(restart.value)["counter"] == 1
    assert ask("approve") == (409, "cannot approve blog: there is nothing to approve now.")
    assert ask("rollback")[0] == 409
    assert ask("explode") == (409, f"cannot explode blog: there is no such word. Use one of {', '.join(VERBS)}.")
    assert ask("suspend", "nobody") == (409, "cannot find the site nobody.")
    assert len(served.looked) == 5
    said = [(row.what, row.more["by"]) for row in served.store.history.events("blog")]
    assert said == [(f"{word}, by the API", "the API") for word in ("restart", "retry", "resume", "suspend")]


def test_a_browser_signs_in_once_and_its_own_forms_count(served: Served, client: httpx.Client) -> None:
    csrf = signed_in(client, "/sites/blog")
    assert len(csrf) == 64
    cookie = next(iter(client.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite").lower() == "strict"
    assert TOKEN not in str(cookie.value)
    assert client.post("/api/sites/blog/suspend", data={"csrf": csrf}).headers["location"] == "/sites/blog"
    assert served.store.said() == (Said("suspend", "blog"),)
    client.post("/logout", data={"csrf": csrf})
    assert client.post("/api/sites/blog/resume", data={"csrf": csrf}).status_code == 401
    assert served.store.said() == (Said("suspend", "blog"),)


def test_forms_of_other_pages_do_not(served: Served, client: httpx.Client) -> None:
    """Without the word, with that of another session, or where the browser says where the form came from."""
    csrf = signed_in(client)
    own = dict(client.cookies)
    foreign = [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
    ]
    for headers in foreign:
        assert client.post("/api/sites/blog/suspend", data={"csrf": csrf}, headers=headers).status_code == 401
        assert client.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403
    assert client.post("/api/sites/blog/suspend", data={"csrf": ""}).status_code == 401
    client.cookies.clear()
    other = signed_in(client)
    assert other != csrf
    client.cookies.clear()
    assert client.post("/api/sites/blog/suspend", data={"csrf": other}, cookies=own).status_code == 401
    assert served.store.said() == ()


def test_a_cookie_that_is_over_or_made_up_is_none() -> None:
    now = [1000.0]
    sessions = Sessions(TOKEN, lambda: now[0])

    def request(cookie: str) -> Request:
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http", "server": ("h", 80)}
        return Request({**scope, "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]})

    response = Response()
    sessions.sign_in(request(""), response)
    good = response.headers["set-cookie"].partition("=")[2].partition(";")[0]
    until_, nonce, mark = good.split(".")
    assert sessions.signed_in(request(good))
    for bad in ("", ".", "..", f"{int(until_) + 1}.{nonce}.{mark}", f"{until_}.{nonce}x.{mark}", f"{until_}.{nonce}.", f"٣.{nonce}.{mark}"):
        assert not sessions.signed_in(request(bad)), bad
    assert not Sessions("another token of that length", lambda: now[0]).signed_in(request(good))
    now[0] += LASTS
    assert not sessions.signed_in(request(good))


def test_a_body_that_is_too_long_or_no_text_is_refused(served: Served, client: httpx.Client) -> None:
    for body in (b"x" * (MAX_BODY + 1), b"\xff\xfe"):
        assert client.post("/api/sites/blog/suspend", content=body, headers=BEARER).status_code == 400
    deep = {**BEARER, "Content-Type": "application/json"}
    for body in (b"[" * 4000, b"[1]", b"{"):
        assert client.post("/api/sites/blog/suspend", content=body, headers=deep).status_code == 400
    assert served.store.said() == ()


@pytest.mark.parametrize(
    "body",
    ['{"release": null}', '{"release": 1}', '{"releaze": "aa"}', "aa11bb22cc", "releaze=aa", '{"release": "aa"', "{release: aa}", '"aa"'],
)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
def test_a_release_that_cannot_be_read_is_not_another_one(served: Served, client: httpx.Client, body: str, kind: str) -> None:
    before_shop(served)
    answer = client.post("/api/sites/shop/rollback", content=body, headers={**BEARER, "Content-Type": kind})
    assert (answer.status_code, len(answer.json()["error"].splitlines())) == (400, 1)
    assert (served.store.said(), served.looked) == ((), [])


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", ""])
def test_json_is_read_by_whatever_name_it_comes(served: Served, client: httpx.Client, kind: str) -> None:
    """`curl --data` calls it a form."""
    before_shop(served)
    for body in ('{"release": "oldest"}', ' \n{"release":"oldest"}'):
        answer = client.post("/api/sites/shop/rollback", content=body, headers={**BEARER, "Content-Type": kind})
        assert (answer.status_code, answer.json()["said"]) == (202, "goes back to oldest")
    assert client.post("/api/sites/shop/rollback", data={"release": "oldest"}, headers=BEARER).json()["said"] == "goes back to oldest"
    assert client.post("/api/sites/shop/rollback", headers=BEARER).json()["said"] == "goes back to older"


def before_shop(served: Served) -> None:
    """The repository has the shop, which ran two other releases before."""
    shop = site("shop")
    done = served.latest.now.done
    assert done
    served.latest.passed(replace(done, desired=replace(done.desired, sites={"shop": shop})))
    for at, release in enumerate(("oldest", "older")):
        served.store.remember_release("shop", release, past_text([running(shop)]), float(at))


def test_what_scripts_ask_is_what_commands_print(served: Served, client: httpx.Client) -> None:
    remember(served.store, time.time())
    drift = client.get("/api/drift").json()
    assert drift["revision"] == C1
    assert [row["field"] for row in drift["sites"]["docs"]["differences"]] == ["mem_limit"]
    rows = client.get("/api/history", params={"site": "docs", "limit": "3"}).json()["events"]
    assert [(row["kind"], row["site"], row["field"]) for row in rows] == [
        ("drift", "docs", "mem_limit"),
        ("healed", "docs", "networks"),
        ("drift", "docs", "networks"),
    ]
    for bad in ("0", "-1", "x", "1001", "٣", "9" * 5000, "000001000999"):
        assert client.get("/api/history", params={"limit": bad}).status_code == 400


def test_streams_tell_of_news_and_those_that_are_too_many_are_refused(served: Served, client: httpx.Client) -> None:
    with contextlib.ExitStack() as open_ones:
        answers = [open_ones.enter_context(client.stream("GET", "/events")) for _ in range(MOST)]
        lines = answers[0].iter_lines()
        assert client.get("/events").status_code == 503
        assert client.get("/").status_code == 200
        first = next(line for line in lines if line.startswith("data: "))
        tell(served.latest, fleet(9))
        assert next(line for line in lines if line.startswith("data: ")) != first
    until(lambda: still_open(client), "their places are free again")


def still_open(client: httpx.Client) -> bool:
    with client.stream("GET", "/events") as answer:
        return answer.status_code == 200


def test_a_stream_ends_with_the_daemon(served: Served, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as answer:
        served.latest.close()
        assert "".join(answer.iter_text()).startswith("retry: ")


def test_a_short_token_is_refused_and_one_in_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[http]\ntoken = "short"\n')
    with pytest.raises(SettingsError, match="use at least 16 characters"):
        load_settings(config)
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    secret.chmod(0o600)
    config.write_text("")
    monkeypatch.setenv("SHIPSTONE_HTTP__TOKEN_FILE", str(secret))
    assert load_settings(config).http.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(load_settings(config))
