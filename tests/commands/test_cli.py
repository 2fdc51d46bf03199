"""The commands that need no engine, as a person runs them: real processes, exit codes, one line for what is wrong."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from lab.host import SHIPSTONE, shipstone

from reconciler.cli import app
from reconciler.world.default_certificate import DefaultCertificate

Run = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = tuple(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`shipstone` in a folder of its own, with no engine, no Traefik and no settings of the machine."""
    nowhere = {"SHIPSTONE_STATE__DIR": str(tmp_path / "state"), "SHIPSTONE_ENGINE__SOCKET": f"unix://{tmp_path}/none.sock"}
    nowhere |= {"SHIPSTONE_TRAEFIK__DYNAMIC_DIR": str(tmp_path / "dynamic")}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        whole = {**os.environ, **nowhere, "COLUMNS": "100", **environment}
        done = shipstone(arguments, whole, folder=tmp_path)
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """What `init` makes."""
    assert run("init").returncode == 0
    return tmp_path / "desired-state"


def test_help_names_every_command_in_a_whole_sentence(run: Run) -> None:
    said = run("--help").stdout
    rows = dict(re.findall(r"^  ([a-z][a-z-]+)  +(.+)$", said, re.MULTILINE))
    assert rows.keys() == set(COMMANDS)
    assert all(text.endswith(".") and not text.endswith("..") for text in rows.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: shipstone {command}")


def test_the_version_is_said(run: Run) -> None:
    assert re.fullmatch(r"shipstone \d+\.\d+\.\d+\n", run("--version").stdout)


def test_what_init_makes_is_right_at_once(run: Run, folder: Path) -> None:
    """And checked against the schema that it holds."""
    done = run("validate", "--source", str(folder))
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 site is right\n", "")
    assert json.loads((folder / "site.schema.json").read_text()) == json.loads(run("schema").stdout)


def test_init_overwrites_nothing(run: Run, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run("init")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot make a desired state in desired-state: ")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_init_refuses_what_is_no_domain(run: Run, tmp_path: Path) -> None:
    done = run("init", "--domain", "no domain")
    assert done.returncode == 1
    assert done.stderr.startswith("cannot use the domain: ")
    assert not (tmp_path / "desired-state").exists()


def test_problems_are_said_with_their_places(run: Run, folder: Path) -> None:
    """As text one line each, as JSON with a code."""
    (folder / "sites" / "blog.yaml").write_text("image: nginx:1\nport: 80\nport: 81\n")
    done = run("validate", "--source", str(folder))
    assert done.returncode == 1
    assert done.stderr.startswith("sites/blog.yaml:3:1 port is written twice: ")
    done = run("validate", "--source", str(folder), "--output", "json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert problem.keys() == {"file", "line", "column", "key", "code", "message", "severity"}
    assert (problem["file"], problem["line"], problem["column"], problem["severity"]) == ("sites/blog.yaml", 3, 1, "error")


def test_hosts_are_printed_and_nothing_is_written(run: Run, folder: Path) -> None:
    """Two addresses for each name, the base domain first."""
    rows = run("hosts", "--source", str(folder)).stdout.splitlines()
    assert rows[1:-1] == [f"{address} {name}shipstone.local" for name in ("", "hello.") for address in ("127.0.0.1", "::1")]
    only = run("hosts", "--source", str(folder), SHIPSTONE_FILES__ADDRESSES='["fe80::1%lo0"]').stdout.splitlines()
    assert only[1:-1] == ["fe80::1%lo0 shipstone.local", "fe80::1%lo0 hello.shipstone.local"]


@pytest.mark.parametrize("command", ["hosts", "traefik-toml"])
def test_without_a_base_domain_nothing_is_printed_that_looks_right(run: Run, folder: Path, command: str) -> None:
    (folder / "shipstone.yaml").write_text("nonsense: 1\n")
    done = run(command, "--source", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("cannot tell the base domain: shipstone.yaml:1:1 nonsense: ")


def test_an_entry_point_with_tls_is_there_where_it_is_asked_for(run: Run, folder: Path) -> None:
    """And a site may only use what the generated Traefik has."""
    asked = {"SHIPSTONE_TRAEFIK__HTTPS_PORT": "8443", "SHIPSTONE_TRAEFIK__TLS_ENTRYPOINT": "safe"}
    plain = tomllib.loads(run("traefik-toml", "--source", str(folder)).stdout)
    secure = tomllib.loads(run("traefik-toml", "--source", str(folder), **asked).stdout)
    assert plain["entryPoints"].keys() == {"web", "traefik"}
    assert secure["entryPoints"] == {**plain["entryPoints"], "safe": {"address": ":8443"}}
    (folder / "sites/safe.yaml").write_text("image: nginx:1.27\nport: 80\ntls: true\n")
    rendered = json.loads(run("render", "--source", str(folder), **asked).stdout)
    assert [value for key, value in rendered["safe"]["services"]["web"].items() if key.endswith(".entrypoints")] == ["safe"]
    managed = {"SHIPSTONE_TRAEFIK__MANAGE": "true"}
    done = run("validate", "--source", str(folder), **managed)
    assert done.returncode == 1
    assert "[traefik] https_port" in done.stderr
    assert run("validate", "--source", str(folder), **managed, **asked).returncode == 0


def test_traefik_toml_is_what_traefik_reads(run: Run, folder: Path) -> None:
    data = tomllib.loads(run("traefik-toml", "--source", str(folder)).stdout)
    assert data["providers"]["docker"]["exposedByDefault"] is False
    assert data["entryPoints"]["traefik"]["address"] == "127.0.0.1:8080"


def test_without_a_folder_for_pins_the_generated_traefik_has_no_file_provider(run: Run, folder: Path) -> None:
    """A managed one always has it."""
    nowhere = {"SHIPSTONE_TRAEFIK__DYNAMIC_DIR": ""}
    assert tomllib.loads(run("traefik-toml", "--source", str(folder), **nowhere).stdout)["providers"].keys() == {
        "providersThrottleDuration",
        "docker",
    }
    done = run("traefik-toml", "--source", str(folder), SHIPSTONE_TRAEFIK__MANAGE="true", **nowhere)
    assert done.returncode == 1
    assert "manage = true needs a dynamic_dir" in done.stderr


def test_render_shows_labels_that_traefik_reads(run: Run, folder: Path) -> None:
    found = json.loads(run("render", "--source", str(folder), "hello").stdout)
    labels = found["hello"]["services"]["web"]
    release = found["hello"]["release"]
    assert labels[f"traefik.http.routers.shipstone-hello-{release}-0.rule"] == "Host(`hello.shipstone.local`)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frob"], "No such command 'frob'"),
        (["plan", "--output", "yaml"], "Invalid value for '--output'"),
        (["render", "nobody", "--source", "desired-state"], "cannot render nobody: there is no such site."),
        (["validate", "--source", "nowhere"], "cannot read "),
        (["validate"], "cannot fetch: no repository is set."),
        (["run", "--config", "nowhere.toml"], "cannot read nowhere.toml: "),
        (["plan", "--source", "desired-state"], "the Docker Engine at unix://"),
        (["status", "--source", "desired-state"], "cannot list the containers: "),
        (["apply", "--source", "desired-state"], "the Docker Engine at unix://"),
        (["traefik-restart"], "cannot restart Traefik: it is not run by Shipstone"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_1(run: Run, folder: Path, arguments: list[str], said: str) -> None:  # noqa: ARG001
    """Never 2, which says that there are differences."""
    done = run(*arguments)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[source", "config.toml"),
        ("[source]\nurll = 'x'\n", "source.urll: there is no such setting (did you mean url?)"),
        ("[engine]\nnetwork = 'a b'\n", "engine.network"),
        ("[traefik]\napi = 'localhost:8080'\n", "traefik.api"),
        ("[source]\npoll = 'often'\n", "source.poll"),
        ("[traefik]\nhttp_port = 70000\n", "traefik.http_port"),
        ("instance = 'Not A Name'\n", "instance"),
        ("[files]\naddresses = ['not an address']\n", "files.addresses"),
        ("\x00", "config.toml"),
        ("[nonsense]\n", "nonsense"),
    ],
)
def test_settings_that_are_wrong_are_named(run: Run, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    done = run("validate", "--config", "config.toml")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_variable_that_is_wrong_is_named_as_it_was_set(run: Run) -> None:
    done = run("validate", SHIPSTONE_TRAEFIK__HTTP_PORT="many")
    assert done.returncode == 1
    assert "SHIPSTONE_TRAEFIK__HTTP_PORT" in done.stderr


def test_doctor_says_what_is_missing_and_how_to_mend_it(run: Run, folder: Path) -> None:
    done = run("doctor", "--source", str(folder), SHIPSTONE_TRAEFIK__API="http://127.0.0.1:1")
    assert done.returncode == 1
    verdicts = dict(re.findall(r"^(?:(\w+) +)((?:desired state|engine|traefik|name resolution))", done.stdout, re.MULTILINE))
    assert verdicts
    assert "systemctl start docker" in done.stdout
    assert "[traefik] manage = true" in done.stdout


def test_doctor_says_where_traefik_makes_a_new_key_at_each_change(run: Run, folder: Path, tmp_path: Path) -> None:
    """A managed one is given a certificate; to one's own a file gives it."""

    def said(manage: str) -> str:
        found = run("doctor", "--source", str(folder), SHIPSTONE_TRAEFIK__DYNAMIC_DIR=str(tmp_path), SHIPSTONE_TRAEFIK__MANAGE=manage)
        lines = found.stdout.splitlines()
        return next("\n".join(lines[n : n + 2]) for n, line in enumerate(lines) if "default certificate" in line)

    assert said("true").startswith(f"warning default certificate none in {tmp_path}")
    assert "where openssl is installed" in said("true")
    assert "docs/settings.md" in said("false")
    (tmp_path / "zz_shipstone.toml").write_text("# Generated by Shipstone: half of one\n[tls.stores.default.defaultCertificate]\n")
    assert said("true").startswith("warning")
    DefaultCertificate(tmp_path, "shipstone").ensure()
    assert said("true").startswith(f"ok      default certificate in {tmp_path}/zz_shipstone.toml")
    (tmp_path / "zz_shipstone.toml").unlink()
    (tmp_path / "mine.toml").write_text('[tls.stores.default.defaultCertificate]\ncertFile = "/a"\n')
    assert said("false").startswith(f"ok      default certificate named in {tmp_path}/mine.toml")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen([SHIPSTONE, "schema"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""


def test_colour_is_for_terminals(run: Run, folder: Path) -> None:
    (folder / "sites" / "blog.yaml").write_text("imgae: nginx:1\n")
    assert "\x1b" not in run("validate", "--source", str(folder)).stderr
    assert "\x1b" in run("validate", "--source", str(folder), FORCE_COLOR="1").stderr
