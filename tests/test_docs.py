"""What the documents say is so: keys, settings, commands, links, examples."""

import json
import os
import re
import ssl
import subprocess
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel, SecretStr

from reconciler.cli import app
from reconciler.desired.compile import Compiler
from reconciler.desired.middlewares import GUARDED, KINDS
from reconciler.desired.model import Model
from reconciler.desired.parse import parse_fleet, parse_site
from reconciler.desired.policy import Policy
from reconciler.desired.refused_keys import REFUSED
from reconciler.desired.schema import site_schema
from reconciler.desired.site import Fleet, Healthcheck, LoadBalancer, Rollout, ServiceKeys, Site, Sticky, Tls, Ulimit
from reconciler.planning.steps import GiveUp, Pull, Remove, SetPin, Start, Stop, Wait
from reconciler.settings import Settings, load_settings
from reconciler.world.directory import DirectorySource

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OPEN = Policy(
    capabilities=("NET_BIND_SERVICE",), namespaces=("pid", "ipc", "uts", "userns"), devices=("/dev/ttyUSB*",), ports=("5432", "5353")
)
"""What the examples of docs/sites.md say that the host's policy must allow."""
MODELS: dict[str, type[BaseModel]] = {
    "": Site,
    "healthcheck.": Healthcheck,
    "rollout.": Rollout,
    "sticky.": Sticky,
    "tls.": Tls,
    "loadbalancer.": LoadBalancer,
}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def code_of(page: Path) -> Iterator[str]:
    """Fenced blocks line by line, and code spans outside of them."""
    fence = re.compile(r"^ *```.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    text = page.read_text(encoding="utf-8")
    for block in fence.findall(text):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", fence.sub("", text))


def examples() -> list[tuple[str, str]]:
    """(file, text) of the blocks of docs/sites.md; each says in its first line which file it is."""
    return [(block.splitlines()[0].removeprefix("# ").strip(), block) for block in blocks("docs/sites.md", "yaml")]


@pytest.mark.parametrize(("file", "text"), examples(), ids=[file for file, _ in examples()])
def test_an_example_is_read_without_an_error(file: str, text: str) -> None:
    if file == "shipstone.yaml":
        parsed, problems = parse_fleet(file, text.encode(), OPEN)
    else:
        assert re.fullmatch(r"sites/[a-z]+\.yaml", file)
        parsed, problems = parse_site(file, text.encode(), Fleet(), OPEN)
    assert parsed is not None, [str(problem) for problem in problems]
    assert {problem.code for problem in problems} <= {"SS-C26"}, "only the warning of a writable volume, which the page explains"


def test_every_key_is_in_an_example() -> None:
    shown: dict[str, set[str]] = {}
    for file, text in examples():
        model = parse_fleet(file, text.encode(), OPEN)[0] if file == "shipstone.yaml" else parse_site(file, text.encode(), Fleet(), OPEN)[0]
        assert model is not None
        collect(model, shown)
    for model in (Site, ServiceKeys, Rollout, Healthcheck, Ulimit, Sticky, Tls, LoadBalancer, Fleet):
        missing = set(model.model_fields) - shown.get(model.__name__, set())
        assert not missing - shown.get("Site" if model is ServiceKeys else "", set()), f"{model.__name__} in docs/sites.md"


def collect(model: BaseModel, shown: dict[str, set[str]]) -> None:
    """The keys that were written, by the name of their model."""
    shown.setdefault(type(model).__name__, set()).update(model.model_fields_set)
    for name in model.model_fields_set:
        value = getattr(model, name)
        for part in value.values() if isinstance(value, dict) else [value]:
            if isinstance(part, BaseModel):
                collect(part, shown)


def test_every_key_has_a_row_that_says_what_it_means() -> None:
    rows = set(re.findall(r"^\| `([a-z_.]+)` \|", text_of("docs/sites.md"), re.MULTILINE))
    wanted = {prefix + name for prefix, model in MODELS.items() for name in model.model_fields} | set(Fleet.model_fields)
    assert wanted - rows == set()


def test_sites_md_names_no_key_that_is_not_there() -> None:
    keys = text_of("docs/sites.md").partition("## Keys that are refused")[0]
    rows = set(re.findall(r"^\| `([a-z_.]+)` \|", keys, re.MULTILINE))
    known = {prefix + name for prefix, model in MODELS.items() for name in model.model_fields} | set(Fleet.model_fields)
    assert rows - known - {kind.__name__ for kind in KINDS} == {"plugin"}


def test_the_defaults_in_sites_md_are_those_of_the_models() -> None:
    """Where the model has one: what the image or the engine decides is not ours."""
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \|", text_of("docs/sites.md"), re.MULTILINE))
    known = {
        "drift": Site,
        "replicas": Site,
        "weight": Site,
        "restart": Site,
        "stop_grace_period": Site,
        "sticky.secure": Sticky,
        "loadbalancer.strategy": LoadBalancer,
        "loadbalancer.pass_host_header": LoadBalancer,
        "rollout.deadline": Rollout,
        "rollout.min_healthy": Rollout,
        "rollout.drain": Rollout,
    }
    for key, model in known.items():
        default = model.model_fields[key.rpartition(".")[2]].default
        written = rows[key].removesuffix("s") if isinstance(default, float) else rows[key]
        written = str(int(written[:-1]) * 60) if written.endswith("m") else written
        assert written == (f"{default:g}" if isinstance(default, float) else str(default).lower()), key


def test_every_refused_key_is_listed_under_its_reason() -> None:
    part = text_of("docs/sites.md").partition("## Keys that are refused")[2]
    rights, rest = part.split("**Done otherwise here:**")
    otherwise, later = rest.split("**Not in this version:**")
    listed = {"SS-C01": rights, "SS-C02": otherwise, "SS-C03": later}
    for key, (code, _) in REFUSED.items():
        assert f"`{key}`" in listed[code], key


def test_every_middleware_has_its_row_with_all_options() -> None:
    """In the table of those that are allowed, or of those that the policy guards."""
    page = text_of("docs/sites.md").partition("## How requests are treated")[2].partition("\n## ")[0]
    free, guarded = page.split("These reach beyond")
    for kind in KINDS:
        part = guarded if kind.__name__ in GUARDED else free
        (row,) = re.findall(rf"^\| `{kind.__name__}` \| (.+) \|$", part, re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == set(options_of(kind)), kind.__name__
    assert "| `plugin` |" in guarded


def options_of(model: type[Model]) -> Iterator[str]:
    yield from model.model_fields
    for field in model.model_fields.values():
        for part in typing.get_args(field.annotation):
            if isinstance(part, type) and issubclass(part, Model):
                yield from options_of(part)


def setting_rows() -> list[str]:
    """The rows of docs/settings.md as the model has them."""
    rows = []
    for section, field in Settings.model_fields.items():
        model = field.annotation
        keys = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {"": field}
        for key, row in keys.items():
            name = key or section
            variable = f"SHIPSTONE_{section}__{key}".upper() if key else f"SHIPSTONE_{section}".upper()
            rows.append(f"| `{name}` | `{toml_value(row.default)}` | `{variable}` | {row.description} |")
    return rows


def toml_value(value: object) -> str:
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def test_every_setting_has_its_row_with_default_and_variable() -> None:
    written = [line for line in text_of("docs/settings.md").splitlines() if re.match(r"\| `[a-z_]+` \| ", line)]
    assert written == setting_rows(), "paste the rows of setting_rows() into docs/settings.md"


def test_the_configurations_in_settings_md_are_read(tmp_path: Path) -> None:
    for text in blocks("docs/settings.md", "toml"):
        if text.startswith("# /etc/shipstone/config.toml"):
            file = tmp_path / "config.toml"
            file.write_text(text, encoding="utf-8")
            load_settings(file)
    assert file.exists()


def test_the_default_certificate_of_settings_md_is_one(tmp_path: Path) -> None:
    """And the file that names it is a table of Traefik's."""
    script = next(block for block in blocks("docs/settings.md", "sh") if "openssl req" in block)
    subprocess.run(["sh", "-ec", script.replace("/etc/traefik/dynamic", str(tmp_path))], check=True, capture_output=True)
    text = next(block for block in blocks("docs/settings.md", "toml") if "defaultCertificate" in block)
    named = tomllib.loads(text)["tls"]["stores"]["default"]["defaultCertificate"]
    files = [tmp_path / Path(named[kind]).relative_to("/etc/traefik/dynamic") for kind in ("certFile", "keyFile")]
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*files)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r"(?:src|href)=\"([^\"#]+)\"", text)
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_commands_in_documents_exist(page: Path) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for code in code_of(page):
        for command in re.findall(r"(?:^|[/(])shipstone ([a-z][a-z-]+)", code):
            assert command in known, code


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_scripts_in_documents_can_be_run(page: Path) -> None:
    for name in set(re.findall(r"\bscripts/[a-z]+\b(?!/)", page.read_text(encoding="utf-8"))) - {"scripts/lab"}:
        assert os.access(ROOT / name, os.X_OK), name


def test_every_command_is_in_the_readme() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    code = "\n".join(code_of(ROOT / "README.md"))
    assert {name for name in known if not re.search(rf"shipstone {name}\b", code)} == set()


def test_the_words_of_a_plan_are_explained() -> None:
    page = text_of("docs/architecture.md")
    for step in (Pull, SetPin, Start, Stop, Remove, Wait, GiveUp):
        assert f"`{step.step}`" in page


def test_every_module_has_its_place_on_the_architecture_page() -> None:
    page = text_of("docs/architecture.md")
    for module in ROOT.glob("reconciler/**/*.py"):
        if module.name != "__init__.py":
            assert module.name in page, f"{module.relative_to(ROOT)} is not on docs/architecture.md"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in ROOT.glob("docs/decisions/[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_schema_beside_the_example_sites_is_up_to_date() -> None:
    written = text_of("desired-state/site.schema.json")
    assert json.loads(written) == site_schema(), "write it again: shipstone schema > desired-state/site.schema.json"


def test_the_example_sites_have_no_problem() -> None:
    desired = Compiler(Policy()).compile(DirectorySource(ROOT / "desired-state").fetch())
    assert [str(problem) for problem in desired.problems] == []
    assert set(desired.sites) == {"web1", "web2"}
