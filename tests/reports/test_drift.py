"""The drift report in each of its forms: everything is said, and nothing that a hand wrote is taken for markup."""

import html.parser
from dataclasses import replace

from reconciler.desired.desired import Desired
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.foreign import Claim
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.reports import drift as drift_report
from reconciler.reports import findings as report

NOW = 1_767_225_600.0
"""2026-01-01 00:00 UTC."""
NASTY = "<script>alert(1)</script> | `rm`\n\x1b[31m[x](http://evil)"
ONE_LINE = "<script>alert(1)</script> | `rm` [31m[x](http://evil)"
MEMORY = Difference(
    "web", "t-shop-web-r-1", "mem_limit", "67108864", "134217728", "drift", "2025-12-31T21:00:00+00:00", "reported only: the site says so"
)
LABEL = Difference("web", "t-shop-web-r-1", "labels.team", "", NASTY, "drift")
HOSTS = Difference("", "/etc/hosts", "hosts", "", "10.0.0.1 evil", "drift", "2025-12-31T23:59:30+00:00", "written again")
CLAIM = Claim("other", "r1", "Host(`shop.test`)", "shop.test", "shop", since="2025-12-31T22:00:00+00:00")
LEFT = "left: remove that container or its traefik.* labels, or give the site another host name"
DESIRED = Desired("c0ffee" * 6, {}, {})


def plan(*rows: Difference, host: tuple[Difference, ...] = (), foreign: tuple[Claim, ...] = ()) -> Plan:
    site = SitePlan("shop", "out-of-sync", "healthy", "r", "c", (), 1, 1, differences=rows)
    return Plan({"shop": site, "other": replace(site, name="other", differences=())}, Memory(), network=True, host=host, foreign=foreign)


def told(*rows: Difference, host: tuple[Difference, ...] = (), foreign: tuple[Claim, ...] = ()) -> drift_report.DriftReport:
    return drift_report.drift_report(plan(*rows, host=host, foreign=foreign), DESIRED, NOW)


def test_as_text_it_is_a_block_for_each_container() -> None:
    lines = drift_report.as_text(told(MEMORY, replace(LABEL, actual="blog"), host=(HOSTS,)))
    assert lines == [
        "3 differences on 1 site at c0ffeec0ffee",
        "",
        "this host  /etc/hosts",
        "  hosts        10.0.0.1 evil, should be nothing  since 2025-12-31 23:59 UTC (30 s)  written again",
        "shop  t-shop-web-r-1",
        "  mem_limit    128 MiB, should be 64 MiB         since 2025-12-31 21:00 UTC (3 h)   reported only: the site says so",
        "  labels.team  blog, should be nothing           since 2026-01-01 00:00 UTC (0 s)",
    ]


def test_what_a_hand_wrote_is_one_line_and_commands_no_terminal() -> None:
    lines = drift_report.as_text(told(LABEL, foreign=(replace(CLAIM, container="other\x1b[2J"),)))
    assert any(ONE_LINE in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_nor_do_the_lines_of_a_plan() -> None:
    """The last lines of a log stay lines."""
    found = plan(LABEL, host=(replace(HOSTS, actual=NASTY),), foreign=(replace(CLAIM, router=NASTY),))
    failed = replace(found.sites["shop"], message="release r failed: no\n\x1b[2J  indented")
    lines = "\n".join(report.plan_text(replace(found, sites={"shop": failed}), DESIRED)).split("\n")
    assert sum(ONE_LINE in line for line in lines) == 3
    assert lines[2:4] == ["shop: release r failed: no", " [2J  indented"]
    assert all(line.isprintable() for line in lines)


def test_what_somebody_else_claims_is_a_row_of_its_site() -> None:
    assert drift_report.as_text(told(foreign=(CLAIM,)))[1:] == [
        "",
        "shop  other",
        f"  claim.host  shop.test by router r1, should be nothing  since 2025-12-31 22:00 UTC (2 h)  {LEFT}",
    ]


def test_without_drift_it_says_so_and_what_else_there_is() -> None:
    assert drift_report.as_text(told()) == ["no drift"]
    assert drift_report.as_markdown(told()) == "### Drift: no drift\n\n`c0ffeec0ffee`, 2026-01-01 00:00 UTC\n"
    assert "<h1>No drift</h1>" in drift_report.as_html(told())


def test_what_a_commit_does_is_not_told() -> None:
    assert told(replace(MEMORY, cause="commit")).rows == ()


def test_markdown_is_one_table_whatever_a_value_holds() -> None:
    text = drift_report.as_markdown(told(MEMORY, LABEL, foreign=(CLAIM,)))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 5
    cells = table[3].replace(r"\|", "").split("|")
    assert len(cells) == 9
    assert cells[4].strip() == r"\<script\>alert(1)\</script\>  \`rm\` \[31m\[x\](http://evil)"
    assert table[2].split("|")[4:6] == [" 128 MiB ", " 64 MiB "]
    cells = (
        "shop",
        "other",
        "claim.host",
        "shop.test by router r1",
        "nothing",
        "since 2025-12-31 22:00 UTC (2 h)",
        LEFT.replace("*", r"\*"),
    )
    assert table[4] == f"| {' | '.join(cells)} |"


class Page(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "style", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    text = drift_report.as_html(told(MEMORY, LABEL, host=(HOSTS,), foreign=(CLAIM,)))
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert page.links == []
    assert "url(" not in text
    assert "@import" not in text
    for said in ("128 MiB", "64 MiB", ONE_LINE, "10.0.0.1 evil", "shop.test by router r1", LEFT, "2 h", "written again", "3 h"):
        assert said in page.text
    assert page.tags.count("tr") == 2 + 4
    assert "default-src 'none'" in text


def test_a_summary_is_a_few_lines() -> None:
    many = [replace(LABEL, field=f"labels.{n}") for n in range(30)]
    lines = drift_report.drift_summary(plan(*many, foreign=(CLAIM,)), DESIRED).splitlines()
    assert lines[2] == "**31 differences on 1 site** at `c0ffeec0ffee`"
    assert lines[-1] == "- and 11 more"
    assert len(lines) == 3 + 20 + 1


def test_a_summary_counts_sites_by_how_they_stand() -> None:
    """Also those of which nothing differs, and those that are worked on."""
    shop = replace(plan().sites["shop"], sync="synced")
    held = replace(shop, name="blog", sync="held", health="degraded")
    found = replace(plan(), sites={"shop": shop, "blog": held, "wiki": replace(shop, name="wiki")})
    known = "1 held, 2 synced; 1 degraded, 2 healthy"
    for busy, line in (("shop", f"3 sites: {known}"), ("new", f"4 sites: {known}; 1 worked on")):
        assert drift_report.drift_summary(replace(found, busy=frozenset({busy})), DESIRED).splitlines()[0] == line
    nothing = drift_report.drift_summary(replace(found, sites={}), DESIRED).splitlines()
    assert nothing == ["0 sites", "", "**no drift** at `c0ffeec0ffee`"]


def test_exit_codes_of_drift() -> None:
    """0 nothing, 2 a hand or somebody else's claim, 1 what is held: that wins."""
    for found, code in ((plan(), 0), (plan(MEMORY), 2), (plan(host=(HOSTS,)), 2), (plan(foreign=(CLAIM,)), 2)):
        assert report.plan_exit(found, DESIRED, drift_only=True) == code
    assert report.plan_exit(plan(replace(MEMORY, cause="commit")), DESIRED, drift_only=True) == 0
    held = SitePlan("shop", "held", "healthy", "r", "c", (), 1, 1, differences=(MEMORY,))
    assert report.plan_exit(Plan({"shop": held}, Memory(), network=True), DESIRED, drift_only=True) == 1


def test_json_says_action_since_and_what_is_no_sites() -> None:
    found = report.plan_json(plan(MEMORY, host=(HOSTS,)), DESIRED)
    assert found["host"][0]["container"] == "/etc/hosts"
    (row,) = found["sites"]["shop"]["differences"]
    assert (row["action"], row["since"]) == (MEMORY.action, MEMORY.since)
    (claim,) = report.plan_json(plan(foreign=(CLAIM,)), DESIRED)["foreign"]
    assert (claim["desired"], claim["actual"], claim["cause"]) == ("", "shop.test by router r1", "drift")
    assert (claim["since"], claim["action"]) == (CLAIM.since, LEFT)
