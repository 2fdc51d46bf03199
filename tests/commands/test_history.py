"""What history, logs and status --watch say of a real host."""

import json
from typing import Any

import pytest
from lab.host import Host, until

from reconciler.planning.deploys import STAGES, deploys
from reconciler.world.store import Store
from tests.commands.said_by import said_by
from tests.conftest import SiteText

pytestmark = pytest.mark.docker


def events(host: Host, *arguments: str) -> list[dict[str, Any]]:
    done = host.shipstone("history", *arguments, "--output", "json", check=True)
    return list(json.loads(done.stdout)["events"])


def test_history_tells_a_deploy_and_who_asked_for_what(host: Host, site_text: SiteText) -> None:
    assert host.shipstone("history", check=True).stdout == "nothing yet\n"
    commit = host.repository.commit({"sites/shop.yaml": site_text("one"), "sites/other.yaml": site_text("one")}, "create")
    host.start_daemon()
    until(lambda: host.converged(commit), "both run", 60)
    newer = host.repository.commit({"sites/shop.yaml": site_text("two")}, "a second shop")
    until(lambda: host.converged(newer), "the second runs", 60)
    host.shipstone("suspend", "shop", check=True)
    store = Store(host.state / "shipstone.db")
    until(lambda: any(row.kind == "said" for row in store.history.events("shop")), "the word is kept")
    deploy, first = deploys(store.history.events("shop", 1000, phases=True), store.history.revisions({commit, newer}))
    store.close()
    assert set(deploy.moments) == set(STAGES) - {"asked"}
    in_order = [deploy.moments[stage] for stage in STAGES if stage in deploy.moments]
    assert in_order == sorted(in_order)
    assert (deploy.cause, deploy.end, deploy.commit, deploy.subject, deploy.author) == ("deploy", "at rest", newer, "a second shop", "Ada")
    assert (first.commit, first.end) == (commit, "at rest")

    rows = events(host, "shop", "--limit", "500")
    assert {row["site"] for row in rows} == {"shop"}
    assert {"plan", "step", "rest", "said"} <= {row["kind"] for row in rows}
    assert rows[0]["said"] == "suspend"
    assert rows[0]["by"]
    assert [row["commit"] for row in events(host, "--limit", "500") if row["kind"] == "revision"] == [newer, commit]
    assert len(events(host, "--limit", "3")) == 3
    text = host.shipstone("history", "--limit", "500", check=True).stdout.splitlines()
    assert any(f"{newer[:12]} a second shop, Ada" in line for line in text)
    assert any(" shop " in line and "the switch: requests to " in line for line in text)
    assert "suspend, by " in text[-1]


def test_apply_is_in_the_history_and_so_is_drift(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one", extra="mem_limit: 64m")}, "create")
    host.shipstone("apply", check=True)
    victim = host.containers("shop")[0]
    host.api.update_container(victim["Id"], mem_limit=128 * 1024**2, memswap_limit=256 * 1024**2)
    host.shipstone("apply", check=True)
    rows = [row for row in events(host, "shop", "--limit", "500") if row["kind"] in ("drift", "healed") and row["field"] == "mem_limit"]
    assert [(row["kind"], row["desired"], row["actual"]) for row in rows] == [
        ("healed", "67108864", "134217728"),
        ("drift", "67108864", "134217728"),
    ]


def test_logs_are_of_every_replica_and_of_a_failed_release(host: Host, faulty_image: str) -> None:
    nobody = host.shipstone("logs", "shop")
    assert (nobody.returncode, nobody.stderr) == (1, "cannot find containers of shop. Sites that have some: none.\n")
    rollout = "rollout: {min_healthy: 500ms, drain: 500ms, deadline: 60s}"
    text = f"image: {faulty_image}\nport: 80\nreplicas: 2\ncommand: [/faulty, says, hello there, /srv]\n{rollout}\n"
    host.repository.commit({"sites/shop.yaml": text}, "create")
    host.shipstone("apply", check=True)
    names = sorted(row["Names"][0].removeprefix("/") for row in host.containers("shop"))
    assert len(names) == 2
    expected = [f"{name} | hello there" for name in names]
    assert host.shipstone("logs", "shop", check=True).stdout.splitlines() == expected
    with said_by(host, "logs", "shop", "--follow") as lines:
        until(lambda: sorted(lines) == expected, "it says what they said", 20)
        for row in host.containers("shop"):
            host.api.restart(row["Id"], timeout=1)
    broken = text.replace("says, hello there, /srv", "exit, '3'")
    host.repository.commit({"sites/shop.yaml": broken}, "broken")
    host.shipstone("apply")
    first, *rest = host.shipstone("logs", "shop", check=True).stdout.splitlines()
    release = first.split()[1]
    assert first.startswith(f"release {release} failed: ")
    assert f"{release} | cannot open the database" in rest
    assert [line for line in rest if line.endswith(" | hello there")], "what runs is told all the same"


def test_status_watch_is_for_people(host: Host) -> None:
    done = host.shipstone("status", "--watch", "--output", "json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cannot watch as JSON: ")
    assert len(done.stderr.splitlines()) == 1


def test_status_watch_shows_every_change(host: Host, site_text: SiteText) -> None:
    host.repository.commit({"sites/shop.yaml": site_text("one")}, "create")
    host.shipstone("apply", check=True)
    with said_by(host, "status", "--watch") as lines:
        until(lambda: any("shop" in line and "synced" in line for line in lines), "it shows the site", 30)
        for row in host.containers("shop"):
            host.api.remove_container(row["Id"], force=True)
        until(lambda: any("out-of-sync" in line and "0/1" in line for line in lines), "it shows that it is gone", 30)
