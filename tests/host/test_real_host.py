"""A host with systemd, Docker and ssh, on which Shipstone was installed as docs/install.md says."""

import json
import re
from pathlib import Path

import pytest
from lab.host import until
from lab.installed_host import hook, site
from lab.real_host import PROGRAM, RealHost

from reconciler.install import AT_ONCE
from tests.host.conftest import PAGE

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("real_host")]

HELLO = "hello.shipstone.local"


def answers(host: RealHost, version: str, seconds: float = 30) -> None:
    until(lambda: host.get(HELLO) == version, f"{HELLO} answers {version}", seconds)


def at_rest(host: RealHost) -> None:
    """No release drains any more."""
    until(lambda: host.run("docker ps -q --filter label=shipstone.site | wc -l") == "1", "the old release has drained", 60)


def main_pid(host: RealHost) -> str:
    return host.unit("shipstone", "MainPID")["MainPID"]


def test_a_dry_run_shows_what_is_to_do_and_does_nothing(real_host: RealHost) -> None:
    unit = "/etc/systemd/system/shipstone-report.timer"
    real_host.run(f"echo '# mine' >> {unit} && chmod 700 /etc/shipstone/credentials && touch /var/lib/shipstone/of-root")
    shown = real_host.run("shipstone install --dry-run").splitlines()
    assert [line for line in shown if not line.startswith("as is")] == [
        "to do  folder    /etc/shipstone/credentials                     root:shipstone 0750, now root:shipstone 0700",
        "to do  folder    /var/lib/shipstone                             1 files in it to shipstone:shipstone",
        "to do  unit      /etc/systemd/system/shipstone-report.timer     written anew",
        "3 to do: run it without --dry-run",
    ]
    assert real_host.run(f"tail -1 {unit}") == "# mine"
    real_host.run("shipstone install")
    assert real_host.tried(f"grep mine {unit}")[0] == 1
    assert real_host.run("stat -c %a /etc/shipstone/credentials") == "750"
    assert real_host.run("stat -c %U /var/lib/shipstone/of-root") == "shipstone"


def test_installing_again_changes_nothing(real_host: RealHost) -> None:
    answers(real_host, "one")
    helper_has_ended(real_host)
    real_host.run("echo '# mine' >> /etc/shipstone/config.toml")
    newer = "find /etc /var/lib/shipstone/hosts -newer /etc/shipstone/config.toml -type f -not -path '/etc/traefik/dynamic/*'"
    before = real_host.run(newer)
    shown = real_host.run("shipstone install").splitlines()
    assert {line.split()[0] for line in shown[:-1]} == {"as"}
    assert shown[-1] == "nothing to do: installed already"
    assert real_host.run(newer) == before
    assert real_host.run("tail -1 /etc/shipstone/config.toml") == "# mine"


def test_it_runs_hardened_and_the_site_answers_by_its_name(real_host: RealHost) -> None:
    """Over ssh with the deploy key, through the socket and Traefik, from the entry that the hosts helper wrote."""
    answers(real_host, "one")
    shown = real_host.unit("shipstone", "User", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet", "StatusText", "SubState")
    assert shown["User"] == "shipstone"
    assert (shown["NoNewPrivileges"], shown["ProtectSystem"], shown["CapabilityBoundingSet"]) == ("yes", "strict", "")
    until(lambda: "1 of 1 sites as" in real_host.unit("shipstone", "StatusText")["StatusText"], "systemd is told so", 20)
    assert real_host.run("stat -c %U:%G:%a /etc/hosts") == "root:root:644"
    assert f"127.0.0.1 {HELLO}" in real_host.run("cat /etc/hosts").splitlines()
    strangers = real_host.run("find /var/lib/shipstone ! -user shipstone")
    assert strangers == "", "what root's commands wrote is the service's too"


def test_systemd_finds_nothing_to_say_of_the_units(real_host: RealHost) -> None:
    """It returns 0 for keys that it does not know: what counts is that it is silent."""
    units = real_host.run("cd /etc/systemd/system && echo shipstone*.service shipstone*.path shipstone*.timer").split()
    assert len(units) == 5
    code, said = real_host.tried(f"cd /etc/systemd/system && systemd-analyze verify --man=no {' '.join(units)} 2>&1")
    assert (code, said) == (0, "")
    for name in ("shipstone", "shipstone-report", "shipstone-hosts"):
        at = f"/etc/systemd/system/{name}.service"
        code, said = real_host.tried(f"systemd-analyze security --no-pager --offline=true --threshold=12 {at} 2>&1 | tail -1; false")
        assert real_host.tried(f"systemd-analyze security --no-pager --offline=true --threshold=12 {at}")[0] == 0, said


def test_a_hand_in_the_hosts_file_is_put_right_and_the_rest_is_kept(real_host: RealHost) -> None:
    answers(real_host, "one")
    helper_has_ended(real_host)
    real_host.run(f"sed -i 's/^127.0.0.1 {HELLO}/192.0.2.1 {HELLO}/' /etc/hosts && echo '192.0.2.9 printer' >> /etc/hosts")
    until(lambda: f"127.0.0.1 {HELLO}" in real_host.run("cat /etc/hosts").splitlines(), "healed", 20)
    assert "192.0.2.9 printer" in real_host.run("cat /etc/hosts").splitlines()


def test_broken_marks_in_the_hosts_file_are_said_and_left_to_people(real_host: RealHost) -> None:
    """A guess could cut someone's lines; mended, it goes on."""
    answers(real_host, "one")
    helper_has_ended(real_host)
    real_host.run("cp /etc/hosts /root/hosts && sed -i '/^# END shipstone/d' /etc/hosts")
    broken = real_host.run("cat /etc/hosts")
    why = "cannot write the hosts file: its markers of instance shipstone are broken (1 BEGIN, 0 END)"
    until(lambda: why in " ".join(real_host.run("journalctl -u shipstone-hosts -o cat").split()), "it is said", 20)
    assert real_host.run("cat /etc/hosts") == broken
    helper_has_ended(real_host)
    real_host.run(f"sed 's/^127.0.0.1 {HELLO}/192.0.2.1 {HELLO}/' /root/hosts > /etc/hosts")
    until(lambda: f"127.0.0.1 {HELLO}" in real_host.run("cat /etc/hosts").splitlines(), "healed", 20)


def helper_has_ended(host: RealHost) -> None:
    """A change that falls into the moment in which it ends waits for the next one: systemd forgets it."""
    until(lambda: host.unit("shipstone-hosts", "ActiveState")["ActiveState"] in ("inactive", "failed"), "the helper has ended", 20)


def test_what_the_hosts_helper_reads_is_believed_line_by_line(real_host: RealHost) -> None:
    """As if the daemon had been taken over: none of it gets into /etc/hosts."""
    answers(real_host, "one")
    before = real_host.run("cat /etc/hosts")
    bad = "'/^::1 hello/a 192.0.2.66 deb.debian.org'"
    real_host.run("systemctl stop shipstone")  # it would write its own again
    helper_has_ended(real_host)
    real_host.run(f"sed -i {bad} /var/lib/shipstone/hosts", user="shipstone")
    refusal = "/var/lib/shipstone/hosts:6: it is not one of 127.0.0.1, ::1 and one host name"
    until(lambda: refusal in real_host.run("journalctl -u shipstone-hosts -o cat"), "refused", 20)
    assert real_host.run("cat /etc/hosts") == before
    real_host.run("systemctl start shipstone")
    until(lambda: "deb.debian.org" not in real_host.run("cat /var/lib/shipstone/hosts"), "the daemon writes its own again", 20)
    assert real_host.run("cat /etc/hosts") == before


def test_the_journal_finds_a_site_by_its_field(real_host: RealHost) -> None:
    answers(real_host, "one")
    rows = [json.loads(line) for line in real_host.run("journalctl -u shipstone -o json SHIPSTONE_SITE=hello").splitlines()]
    started = [row for row in rows if row.get("SHIPSTONE_EVENT") == "start"]
    assert started
    assert started[0]["SHIPSTONE_TARGET"].startswith("shipstone-hello-")
    assert started[0]["PRIORITY"] == "6"
    assert started[0]["MESSAGE"].startswith("start site=hello ")


def test_root_and_the_service_share_one_state(real_host: RealHost) -> None:
    """A command of root's works as the service's user, and the daemon hears of it."""
    answers(real_host, "one")
    assert real_host.run("shipstone restart hello") == "hello: is restarted"
    until(lambda: real_host.status()["sites"]["hello"]["release"].endswith("r1"), "restarted", 40)
    real_host.run("shipstone secrets keygen --out /etc/shipstone/credentials/age-key")
    assert real_host.run("stat -c %U:%a /etc/shipstone/credentials/age-key") == "shipstone:600"
    assert real_host.run("find /var/lib/shipstone ! -user shipstone") == ""


def test_the_daily_report_runs_under_its_own_unit(real_host: RealHost) -> None:
    answers(real_host, "one")
    real_host.run("systemctl start shipstone-report")
    until(lambda: "no drift" in real_host.run("journalctl -u shipstone-report -o cat"), "the report is in the journal", 20)


def test_a_restart_of_the_service_touches_no_site(real_host: RealHost) -> None:
    at_rest(real_host)
    answers(real_host, "one")
    before = real_host.run("docker ps --no-trunc --quiet | sort")
    real_host.run("systemctl restart shipstone")
    until(lambda: "1 of 1 sites" in real_host.unit("shipstone", "StatusText")["StatusText"], "it has looked", 20)
    real_host.run("systemctl stop shipstone")
    assert real_host.unit("shipstone", "Result", "SubState") == {"Result": "success", "SubState": "dead"}
    assert real_host.get(HELLO) == "one"
    real_host.run("systemctl start shipstone")
    assert real_host.run("docker ps --no-trunc --quiet | sort") == before


def test_a_signed_webhook_makes_a_commit_live_and_a_reload_looks_too(real_host: RealHost) -> None:
    """It polls once an hour here."""
    answers(real_host, "one")
    real_host.commit({"sites/hello.yaml": site("hooked")}, "another version")
    assert hook(real_host, "another secret") == "401"
    assert real_host.get(HELLO) == "one"
    assert hook(real_host) == "202"
    answers(real_host, "hooked")
    real_host.commit({"sites/hello.yaml": site("one")}, "and back")
    real_host.run("systemctl reload shipstone")
    answers(real_host, "one")


def test_an_unknown_host_key_is_refused(real_host: RealHost) -> None:
    """Whoever answers in the git server's place decides nothing here."""
    answers(real_host, "one")
    real_host.run("mv /etc/shipstone/known_hosts /root/ && ssh-keygen -q -t ed25519 -N '' -f /root/other")
    real_host.run("echo \"localhost $(cut -d' ' -f1,2 /root/other.pub)\" > /etc/shipstone/known_hosts")
    try:
        code, said = real_host.tried("shipstone validate")
        assert code == 1
        assert "the server's host key has changed" in said
    finally:
        real_host.run("mv /root/known_hosts /etc/shipstone/known_hosts")
    assert real_host.run("shipstone validate") == "1 site is right"


def test_a_daemon_that_hangs_is_killed_and_started_again(real_host: RealHost) -> None:
    """The watchdog, made impatient by a drop-in; the sites do not notice."""
    answers(real_host, "one")
    real_host.run("mkdir -p /run/systemd/system/shipstone.service.d")
    real_host.put({"impatient.conf": "[Service]\nWatchdogSec=10\nRestartSec=100ms\n"}, "/root")
    real_host.run(
        "cp /root/impatient.conf /run/systemd/system/shipstone.service.d/ && systemctl daemon-reload && systemctl restart shipstone"
    )
    until(lambda: "1 of 1 sites" in real_host.unit("shipstone", "StatusText")["StatusText"], "it has looked", 20)
    hung = main_pid(real_host)
    real_host.run(f"kill -STOP {hung}")
    until(lambda: main_pid(real_host) not in ("0", hung), "another process", 40)
    assert "Watchdog timeout" in real_host.run("journalctl -u shipstone -o cat")
    assert real_host.get(HELLO) == "one"
    real_host.run("rm -r /run/systemd/system/shipstone.service.d && systemctl daemon-reload && systemctl restart shipstone")


def test_after_a_reboot_sites_answer_before_git_is_reachable(real_host: RealHost) -> None:
    """And a container that was lost meanwhile comes back: what was taken last is still what should run."""
    answers(real_host, "one")
    commit = real_host.run("git -C /srv/work rev-parse HEAD")
    real_host.run(
        "systemctl disable --now --quiet ssh; systemctl stop shipstone; docker rm --force $(docker ps -q --filter label=shipstone.site)"
    )
    real_host.reboot()
    assert real_host.tried("systemctl is-active ssh")[0] != 0
    answers(real_host, "one")
    assert real_host.unit("shipstone", "ActiveState") == {"ActiveState": "active"}
    said = real_host.run("journalctl --boot -u shipstone -o cat")
    assert f"begun with the commit that was taken last commit={commit}" in said
    assert f"127.0.0.1 {HELLO}" in real_host.run("cat /etc/hosts").splitlines()
    assert real_host.run("ls /etc/traefik/dynamic").split() == ["shipstone.toml", "zz_shipstone.toml"]
    real_host.run("systemctl enable --now --quiet ssh")
    real_host.commit({"sites/hello.yaml": site("two")}, "another version")
    real_host.run("systemctl reload shipstone")
    answers(real_host, "two")
    at_rest(real_host)


KEPT = re.compile(r"^kept   (\S+) +(.+?)  +(.+)$", re.MULTILINE)
"""What it is, which one, and the command that removes it."""
CONTAINERS = "docker ps --all --quiet --filter label=shipstone.instance"


def by_address(host: RealHost) -> str:
    """The site's answer where the hosts file does not name it."""
    return host.run(f"curl --silent --fail --max-time 5 --header 'Host: {HELLO}' http://127.0.0.1/")


def everything(host: RealHost) -> dict[str, str]:
    """Each path where an installation may write, with what it is and, of a file, when it was changed; and units that run."""
    rows = "-type d -printf '%p %u:%g %m\\n' -o -printf '%p %u:%g %m %l %T@\\n'"
    mine = "-name '*-' -o -name .pwd.lock -o"  # of the programs that write /etc/passwd
    found = host.run(f"find /etc /usr/local /var/lib/shipstone {mine} {rows} 2>/dev/null; true").splitlines()
    units = host.run("systemctl list-units --all --plain --no-legend --state=active 'shipstone*'").splitlines()
    return {row.split(" ", 1)[0]: row for row in found} | {f"active {row.split()[0]}": "" for row in units}


def effects(kind: str, target: str) -> set[str]:
    """What is other than it was after a line of `install`."""
    if kind == "user":
        return {f"/etc/{name}" for name in ("passwd", "shadow", "group", "gshadow")}
    if kind == "boot":
        wants = "timers" if target.endswith(".timer") else "multi-user"
        return {f"/etc/systemd/system/{wants}.target.wants/{target}", *({f"active {target}"} if target in AT_ONCE else ())}
    return {target}


def test_uninstalling_keeps_data_and_sites_and_installing_takes_them_up(real_host: RealHost) -> None:
    """What is kept is named, each with the command that removes it."""
    served = until(lambda: real_host.get(HELLO), "the site answers", 60)
    kept = KEPT.findall(real_host.run("shipstone uninstall"))
    assert [(kind, target) for kind, target, _ in kept] == [
        ("hosts", "/etc/hosts"),
        ("data", "/etc/traefik/dynamic/shipstone.toml"),
        ("data", "/etc/traefik/dynamic/.shipstone.toml.new"),
        ("data", "/etc/traefik/dynamic/zz_shipstone.toml"),
        ("folder", "/etc/traefik/dynamic"),
        ("data", "/var/lib/shipstone"),
        ("data", "/etc/shipstone"),
        ("user", "shipstone"),
        ("program", "/opt/shipstone"),
        ("sites", "go on running, with their Traefik"),
        ("volumes", "are never removed"),
    ]
    left = real_host.run("ls /etc/systemd/system /usr/local/bin | grep shipstone || true")
    assert left == ""
    assert "docker" not in real_host.run("id -Gn shipstone").split()
    assert real_host.get(HELLO) == served
    again = real_host.run(f"{PROGRAM} uninstall")
    assert KEPT.findall(again) == kept
    assert again.splitlines()[-1] == "nothing to do: not installed"
    real_host.run(f"{PROGRAM} install && systemctl start shipstone")
    until(lambda: "1 of 1 sites" in real_host.unit("shipstone", "StatusText")["StatusText"], "it goes on", 30)
    assert real_host.get(HELLO) == served


def test_the_steps_by_hand_leave_what_install_leaves(real_host: RealHost) -> None:
    """All of Shipstone goes but its program, by the commands that are printed. No rollout is under way: its pins would go too."""
    at_rest(real_host)
    served = real_host.get(HELLO)
    kept = KEPT.findall(real_host.run("shipstone uninstall"))
    real_host.run("set -e\n" + "\n".join(command for kind, _, command in kept if kind not in ("program", "sites", "volumes")))
    assert "shipstone" not in real_host.run("cat /etc/hosts /etc/passwd /etc/group")
    assert real_host.run("ls -d /etc/shipstone /etc/traefik /var/lib/shipstone 2>/dev/null; true") == ""
    by_hand = PAGE.read_text(encoding="utf-8").partition("## By hand")[2].split("```")[1]
    real_host.run(f"set -e\n{by_hand}")
    assert real_host.run("shipstone install --dry-run").splitlines()[-1] == "nothing to do: installed already"
    assert by_address(real_host) == served


def test_a_purge_waits_for_the_sites_and_leaves_the_program_alone(real_host: RealHost) -> None:
    """What sites mount is not taken from under them."""
    code, said = real_host.tried("shipstone uninstall --purge")
    assert code == 1
    assert "cannot purge: 2 containers mount what is in /var/lib/shipstone" in " ".join(said.split())
    assert by_address(real_host)
    volumes = real_host.run("docker volume ls --quiet")
    (remove,) = [command for kind, _, command in KEPT.findall(real_host.run("shipstone uninstall")) if kind == "sites"]
    real_host.run(remove)
    assert real_host.run(CONTAINERS) == ""
    shown = real_host.run(f"{PROGRAM} uninstall --purge --dry-run").splitlines()
    done = real_host.run(f"{PROGRAM} uninstall --purge").splitlines()
    assert [line.split(maxsplit=2)[2] for line in shown if line.startswith("to do")] == [
        line[7:] for line in done if line.startswith("done")
    ]
    assert [row[0] for row in KEPT.findall("\n".join(done))] == ["program", "sites", "volumes"]
    assert "shipstone" not in real_host.run("cat /etc/hosts /etc/passwd /etc/group; find /etc /usr/local /var/lib -name '*shipstone*'")
    assert real_host.run("ls -d /etc/traefik 2>/dev/null; true") == ""
    assert real_host.run("docker volume ls --quiet") == volumes


def test_a_dry_run_on_a_bare_host_lists_what_is_then_changed_and_no_more(real_host: RealHost) -> None:
    """The last one here: nothing of Shipstone is left on this host but its program."""
    before = everything(real_host)
    shown = real_host.run(f"{PROGRAM} install --dry-run")
    assert everything(real_host) == before, "it only looks"
    real_host.run(f"{PROGRAM} install")
    after = everything(real_host)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    said = {path for kind, target in re.findall(r"^to do  (\S+) +(\S+)", shown, re.MULTILINE) for path in effects(kind, target)}
    assert changed - said == {str(parent) for path in changed for parent in Path(path).parents if str(parent) in changed - said}
    assert said - changed == set()
