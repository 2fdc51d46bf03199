"""Middlewares, TLS, stickiness and the load balancer: what may be written, and what is said of everything else."""

import pytest

from reconciler.desired.middlewares import GUARDED, KINDS, flat
from reconciler.desired.parse import parse_site
from reconciler.desired.policy import Policy
from tests.desired.rows import CLOSED, FLEET, assert_only, problems_of

OPEN = Policy(middlewares=GUARDED)


def read(text: str, policy: Policy = CLOSED) -> list[tuple[str, dict[str, str]]]:
    """The middlewares of a site as kind and labels."""
    site, problems = parse_site("sites/blog.yaml", text.encode(), FLEET, policy)
    assert site is not None, [str(problem) for problem in problems]
    return [(kind, dict(options)) for kind, options in (flat(row) for row in site.middlewares)]


def test_they_are_read_in_order_in_the_terms_of_traefik() -> None:
    text = """
middlewares:
- stripPrefix: {prefixes: [/api]}
- headers: {customResponseHeaders: {X-A: "1"}, stsSeconds: 60, frameDeny: true, accessControlAllowMethods: [GET, PUT]}
- rateLimit: {average: 100, burst: 50, period: 1m}
- basicAuth: {users: ["a:$apr1$x", "b:{SHA}y="], removeHeader: false}
- stripPrefix: {prefixes: /again}
- compress: true
- ipAllowList: {sourceRange: [10.0.0.0/8], ipStrategy: {depth: 1, excludedIPs: [10.1.1.1]}}
"""
    assert read(text) == [
        ("stripPrefix", {"prefixes": "/api"}),
        (
            "headers",
            {"customresponseheaders.X-A": "1", "stsseconds": "60", "framedeny": "true", "accesscontrolallowmethods": "GET,PUT"},
        ),
        ("rateLimit", {"average": "100", "burst": "50", "period": "60000ms"}),
        ("basicAuth", {"users": "a:$apr1$x,b:{SHA}y=", "removeheader": "false"}),
        ("stripPrefix", {"prefixes": "/again"}),
        ("compress", {}),
        ("ipAllowList", {"sourcerange": "10.0.0.0/8", "ipstrategy.depth": "1", "ipstrategy.excludedips": "10.1.1.1"}),
    ]


def test_a_plugin_has_options_of_its_own() -> None:
    text = "middlewares: [{plugin: {block: {path: /x, deep: {a: 'on', n: 1}}}}]"
    assert read(text, OPEN) == [("plugin", {"block.path": "/x", "block.deep.a": "on", "block.deep.n": "1"})]


@pytest.mark.parametrize("kind", GUARDED)
def test_what_reaches_beyond_the_sites_own_requests_is_a_matter_of_policy(kind: str) -> None:
    assert_only(f"middlewares: [{{{kind}: {{a: b}}}}]", f"1:{16 + len(kind) + 2} middlewares[0].{kind}", "SS-C28", "[policy] middlewares")
    others = Policy(middlewares=tuple(other for other in GUARDED if other != kind))
    assert [p.code for p in problems_of(f"middlewares: [{{{kind}: {{a: b}}}}]", others)] == ["SS-C28"]
    assert "SS-C28" not in [p.code for p in problems_of(f"middlewares: [{{{kind}: {{a: {{b: c}}}}}}]", OPEN)]


def test_no_kind_reads_a_file_of_the_host_or_asks_another_one() -> None:
    """But those that the policy guards."""
    options = {name for kind in KINDS if kind.__name__ not in GUARDED for name in kind.model_fields}
    assert not options & {"usersFile", "redis", "address", "service", "tls"}


@pytest.mark.parametrize(
    ("written", "place", "code", "fragment"),
    [
        pytest.param("[{stripprefix: {prefixes: [/a]}}]", "1:16 middlewares[0].stripprefix", "SS-Y15", "`stripPrefix`", id="kind"),
        pytest.param("[{gzip: {a: b}}]", "1:16 middlewares[0].gzip", "SS-Y15", "not a key here", id="unknown-kind"),
        pytest.param(
            "[{stripPrefix: {prefixs: [/a], prefixes: [/b]}}]",
            "1:30 middlewares[0].stripPrefix.prefixs",
            "SS-Y15",
            "`prefixes`",
            id="option",
        ),
        pytest.param(
            "[{basicAuth: {usersFile: /etc/shadow, users: 'a:$1$x'}}]",
            "1:28 middlewares[0].basicAuth.usersFile",
            "SS-Y15",
            "`users`",
            id="usersFile",
        ),
        pytest.param(
            "[{basicAuth: {users: ['ada:secret']}}]", "1:36 middlewares[0].basicAuth.users[0]", "SS-C27", "htpasswd", id="password"
        ),
        pytest.param("[{digestAuth: {users: 'a:b'}}]", "1:36 middlewares[0].digestAuth.users", "SS-C27", "htdigest", id="digest"),
        pytest.param("[{stripPrefix: {}}]", "1:16 middlewares[0].stripPrefix", "SS-Y17", "prefixes is missing", id="missing"),
        pytest.param("[{headers: {}}]", "1:25 middlewares[0].headers", "SS-C27", "nothing is set here", id="empty"),
        pytest.param("[{headers: }]", "1:16 middlewares[0].headers", "SS-Y16", "nothing is written", id="nothing"),
        pytest.param(
            "[{headers: {customRequestHeaders: {}}}]",
            "1:48 middlewares[0].headers.customRequestHeaders",
            "SS-C27",
            "nothing is set here",
            id="empty-map",
        ),
        pytest.param("[{}]", "1:15 middlewares[0]", "SS-C27", "here is nothing", id="none"),
        pytest.param("[{compress: {}, contentType: {}}]", "1:15 middlewares[0]", "SS-C27", "compress, contentType", id="two-kinds"),
        pytest.param("[compress]", "1:15 middlewares[0]", "SS-Y16", "a map of keys belongs here", id="text"),
        pytest.param("{compress: {}}", "1:14 middlewares", "SS-Y16", "a list belongs here", id="map"),
        pytest.param("", "1:1 middlewares", "SS-Y16", "nothing is written here", id="null"),
        pytest.param("[{rateLimit: {average: many}}]", "1:37 middlewares[0].rateLimit.average", "SS-Y17", "whole number", id="number"),
        pytest.param(
            "[{rateLimit: {average: }}]", "1:28 middlewares[0].rateLimit.average", "SS-Y16", "nothing is written", id="null-option"
        ),
        pytest.param(
            "[{rateLimit: {average: 1, period: 5}}]",
            "1:48 middlewares[0].rateLimit.period",
            "SS-C15",
            "Write 5s for seconds",
            id="duration",
        ),
        pytest.param("[{headers: {frameDeny: yes}}]", "1:37 middlewares[0].headers.frameDeny", "SS-Y17", "true or false", id="flag"),
        pytest.param("[{addPrefix: {prefix: [a]}}]", "1:36 middlewares[0].addPrefix.prefix", "SS-Y16", "one text", id="list-for-text"),
        pytest.param("[{addPrefix: {prefix: 'a{{b'}}]", "1:36 middlewares[0].addPrefix.prefix", "SS-C27", "without {{", id="template"),
        pytest.param(
            "[{stripPrefix: {prefixes: []}}]", "1:40 middlewares[0].stripPrefix.prefixes", "SS-C27", "the list is empty", id="empty-list"
        ),
        pytest.param(
            "[{stripPrefix: {prefixes: ['/a,/b']}}]",
            "1:41 middlewares[0].stripPrefix.prefixes[0]",
            "SS-C27",
            "splits it at commas",
            id="comma",
        ),
        pytest.param(
            "[{headers: {customRequestHeaders: {X.A: b}}}]",
            "1:49 middlewares[0].headers.customRequestHeaders.X.A",
            "SS-C27",
            "letters, digits, - and _",
            id="header-name",
        ),
        pytest.param(
            "[{headers: {customRequestHeaders: {X-A: on}}}]",
            "1:54 middlewares[0].headers.customRequestHeaders.X-A",
            "SS-Y03",
            "Quote it",
            id="yaml-1.1",
        ),
        pytest.param(
            "[{inFlightReq: {amount: 1, sourceCriterion: {ipStrategy: {dept: 1}}}}]",
            "1:72 middlewares[0].inFlightReq.sourceCriterion.ipStrategy.dept",
            "SS-Y15",
            "`depth`",
            id="nested",
        ),
    ],
)
def test_what_traefik_would_not_take_is_refused_at_its_place(written: str, place: str, code: str, fragment: str) -> None:
    """A wrong name or value in a label makes Traefik drop the whole container, without a word to the person."""
    assert_only(f"middlewares: {written}", place, code, fragment)


def test_a_password_is_not_repeated() -> None:
    assert "secret" not in " ".join(
        str(problem) for problem in problems_of("middlewares: [{basicAuth: {users: ['ada:secret', 'b:sec ret']}}]")
    )


def test_each_mistake_is_told() -> None:
    text = "middlewares:\n- rateLimit: {average: x, brst: 1}\n- addPrefix: {prefix: ''}\n- retry: {timeout: 1}\n"
    assert [(p.line, p.key) for p in problems_of(text)] == [
        (2, "middlewares[0].rateLimit.average"),
        (2, "middlewares[0].rateLimit.brst"),
        (4, "middlewares[2].retry"),
        (4, "middlewares[2].retry.timeout"),
    ]


def test_there_are_at_most_20() -> None:
    assert problems_of("middlewares:\n" + "- compress: {}\n" * 20) == ()
    assert_only("middlewares:\n" + "- compress: {}\n" * 21, "2:1 middlewares", "SS-C13", "at most 20")


@pytest.mark.parametrize(
    ("text", "place", "code", "fragment"),
    [
        pytest.param("tls: maybe", "1:6 tls", "SS-Y17", "true or false", id="tls"),
        pytest.param("tls: {options: strict}", "1:7 tls.options", "SS-Y15", "Write one of: certresolver", id="tls-options"),
        pytest.param("tls: {certResolver: le}", "1:7 tls.certResolver", "SS-Y15", "`certresolver`", id="tls-case"),
        pytest.param("tls: {certresolver: a.b}", "1:21 tls.certresolver", "SS-C24", "letsencrypt", id="resolver"),
        pytest.param("sticky: {name: x}", "1:10 sticky.name", "SS-Y15", "secure, samesite, maxage", id="sticky-name"),
        pytest.param("sticky: {samesite: Lax}", "1:20 sticky.samesite", "SS-Y17", "none, lax, strict", id="samesite"),
        pytest.param("sticky: {maxage: 3600}", "1:18 sticky.maxage", "SS-C15", "Write 3600s for seconds", id="maxage"),
        pytest.param("sticky: [a]", "1:9 sticky", "SS-Y16", "one text belongs here", id="sticky-list"),
        pytest.param("loadbalancer: {strategy: drr}", "1:26 loadbalancer.strategy", "SS-Y17", "wrr, p2c, hrw, leasttime", id="strategy"),
        pytest.param(
            "loadbalancer: {passHostHeader: false}", "1:16 loadbalancer.passHostHeader", "SS-Y15", "`pass_host_header`", id="case"
        ),
        pytest.param("loadbalancer: p2c", "1:15 loadbalancer", "SS-Y16", "a map of keys", id="balancer"),
        pytest.param("loadbalancer: {flush_interval: 0}", "1:32 loadbalancer.flush_interval", "SS-C15", "from 0.001s", id="flush"),
        pytest.param("pass_host_header: false", "1:1 pass_host_header", "SS-Y18", "in loadbalancer:", id="wrong-place"),
    ],
)
def test_the_other_keys_of_a_route(text: str, place: str, code: str, fragment: str) -> None:
    assert_only(text, place, code, fragment)


def test_tls_needs_an_entry_point() -> None:
    closed = Policy(tls=False)
    assert_only("tls: true", "1:6 tls", "SS-C29", "[traefik] https_port", closed)
    assert_only("tls: {certresolver: le}", "1:6 tls", "SS-C29", "[traefik] https_port", closed)
    assert problems_of("tls: false", closed) == ()
    assert problems_of("tls: true", CLOSED) == ()


@pytest.mark.parametrize(
    ("kind", "option", "low", "high"),
    [
        ("buffering", "memRequestBodyBytes", 0, 16777216),
        ("buffering", "memResponseBodyBytes", 0, 16777216),
        ("compress", "minResponseBodyBytes", 0, 16777216),
        ("retry", "attempts", 1, 10),
        ("retry", "maxRequestBodyBytes", 0, 16777216),
    ],
)
def test_no_site_takes_the_memory_of_traefik(kind: str, option: str, low: int, high: int) -> None:
    """It serves all of them."""
    needed = "attempts: 3, " if option != "attempts" and kind == "retry" else ""
    before = f"[{{{kind}: {{{needed}{option}: "
    for value in (low, high):
        assert problems_of(f"middlewares: {before}{value}}}}}]") == ()
    for value in (low - 1, high + 1, 10**15):
        place = f"1:{14 + len(before)} middlewares[0].{kind}.{option}"
        assert_only(f"middlewares: {before}{value}}}}}]", place, "SS-C13", f"{value} is out of range. Write a number from {low} to {high}.")


MOST = "buffering: {memRequestBodyBytes: 16777216, memResponseBodyBytes: 16777216}"


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        pytest.param([MOST], 0, id="one-at-its-most"),
        pytest.param([MOST, "compress: true", "addPrefix: {prefix: /a}"], 0, id="others-hold-nothing"),
        pytest.param(["buffering: {maxRequestBodyBytes: 5}"] * 16, 0, id="as-usual"),
        pytest.param([MOST, "retry: {attempts: 3}"], 34, id="what-is-not-written-counts"),
        pytest.param([MOST, "retry: {attempts: 3, maxRequestBodyBytes: 1048576}"], 33, id="what-is-written-counts"),
        pytest.param(["buffering: {memRequestBodyBytes: 0}"] * 17, 34, id="0-is-as-usual"),
        pytest.param(["compress: {minResponseBodyBytes: 12000000}"] * 3, 34, id="answers-that-wait"),
        pytest.param([MOST] * 20, 640, id="many"),
    ],
)
def test_all_middlewares_of_a_site_together(rows: list[str], held: int) -> None:
    text = f"middlewares: [{', '.join(f'{{{row}}}' for row in rows)}]"
    if held:
        assert_only(text, "1:1 middlewares", "SS-C13", f"all middlewares together hold {held} MiB of each request in Traefik's memory")
    else:
        assert problems_of(text) == ()
