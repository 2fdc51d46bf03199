"""Every secret of the settings, found in their model: as a value or as a file, in config.toml or by environment, and never shown."""

import json
import typing
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from reconciler.errors import SettingsError
from reconciler.settings import Settings, load_settings
from reconciler.settings_values import FROM_FILE

PLANTED = "planted-0123456789"
FORMS = {"notify.heartbeat": f"https://example.org/{PLANTED}"}
"""Of those that do not take any text."""
BESIDE = {"registries": {"username": "ada"}}
"""What else a table needs."""


def secrets_in(model: type[BaseModel] = Settings, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Where each is, whether it may be in a file, and whether it prints itself; of a table by names the name is "x"."""
    for name, field in model.model_fields.items():
        inside = (field.annotation, *typing.get_args(field.annotation))
        models = [kind for kind in inside if isinstance(kind, type) and issubclass(kind, BaseModel)]
        here = (*above, name, "x") if models and models[0] is not field.annotation else (*above, name)
        for below in models:
            yield from secrets_in(below, here)
        if SecretStr in inside or FROM_FILE in field.metadata:
            yield here, FROM_FILE in field.metadata, SecretStr in inside or not field.repr


SECRETS = [place for place, _, _ in secrets_in()]
each = pytest.mark.parametrize("place", SECRETS, ids=[".".join(place) for place in SECRETS])


def value_of(place: tuple[str, ...]) -> str:
    return FORMS.get(".".join(place), PLANTED)


def tables(place: tuple[str, ...], value: object) -> dict[str, Any]:
    """The settings in which there is only this."""
    inner = BESIDE.get(place[0], {}) | {place[-1]: value}
    return reduce(lambda below, name: {name: below}, reversed(place[:-1]), inner)


def written(place: tuple[str, ...], value: object, folder: Path) -> Path:
    """In config.toml."""
    section = ".".join(place[:-1])
    beside = "".join(f'{name} = "{text}"\n' for name, text in BESIDE.get(place[0], {}).items())
    (folder / "config.toml").write_text(f"[{section}]\n{beside}{place[-1]} = {json.dumps(value)}\n")
    return folder / "config.toml"


def found(settings: Settings, place: tuple[str, ...]) -> str:
    value: Any = settings
    for name in place:
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    value = value[0] if isinstance(value, list) else value
    return str(value.get_secret_value() if isinstance(value, SecretStr) else value)


def file_with(place: tuple[str, ...], folder: Path, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(f"{value_of(place)}\n")
    path.chmod(mode)
    return path


def in_file(place: tuple[str, ...]) -> tuple[str, ...]:
    return (*place[:-1], f"{place[-1]}_file")


def by_environment(place: tuple[str, ...], value: str, patch: pytest.MonkeyPatch) -> None:
    """A table by names is one variable, in JSON."""
    if "x" in place:
        patch.setenv(f"SHIPSTONE_{place[0].upper()}", json.dumps(tables(place, value)[place[0]]))
    else:
        patch.setenv("SHIPSTONE_" + "__".join(place).upper(), value)


def test_they_are_found() -> None:
    """So that the others speak of something; one that is added is among them by itself."""
    names = {".".join(place) for place in SECRETS}
    assert {"source.url", "http.token", "webhooks.secret", "forge.token", "notify.urls", "notify.heartbeat"} <= names
    assert "registries.x.password" in names


def test_each_may_be_in_a_file_and_does_not_print_itself() -> None:
    assert {".".join(place): rest for place, *rest in secrets_in() if rest != [True, True]} == {}


@each
def test_in_the_file_of_settings(tmp_path: Path, place: tuple[str, ...]) -> None:
    value = [value_of(place)] if place == ("notify", "urls") else value_of(place)
    settings = load_settings(written(place, value, tmp_path))
    assert found(settings, place) == value_of(place)
    assert PLANTED not in f"{settings!r} {settings}"


@each
def test_in_a_file_of_its_own(tmp_path: Path, place: tuple[str, ...]) -> None:
    settings = load_settings(written(in_file(place), str(file_with(place, tmp_path)), tmp_path))
    assert found(settings, place) == value_of(place)
    assert PLANTED not in f"{settings!r} {settings}"


@each
def test_by_environment(tmp_path: Path, place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("")
    by_environment(place, value_of(place), monkeypatch)
    assert found(load_settings(tmp_path / "config.toml"), place) == value_of(place)


@each
def test_in_a_file_by_environment(tmp_path: Path, place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("")
    by_environment(in_file(place), str(file_with(place, tmp_path)), monkeypatch)
    assert found(load_settings(tmp_path / "config.toml"), place) == value_of(place)


@each
def test_both_are_one_too_many(tmp_path: Path, place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names both, and shows neither value."""
    if "x" in place:
        monkeypatch.setenv("SHIPSTONE_REGISTRIES", json.dumps({"x": {"username": "a", "password": PLANTED, "password_file": PLANTED}}))
        (tmp_path / "config.toml").write_text("")
    else:
        by_environment(place, value_of(place), monkeypatch)
        written(in_file(place), str(file_with(place, tmp_path)), tmp_path)
    assert f"{place[-1]} and {place[-1]}_file are both there. Keep one of them" in refusal(tmp_path)


@each
def test_a_file_that_every_user_can_read(tmp_path: Path, place: tuple[str, ...]) -> None:
    path = file_with(place, tmp_path, 0o644)
    written(in_file(place), str(path), tmp_path)
    assert f"{place[-1]}_file: cannot use {path}: every user of this host can read it" in refusal(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(folder / "config.toml")
    assert PLANTED not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["json://a\n# of the team\njson://b\n", ' ["json://a", "json://b"]'], ids=["lines", "json"])
def test_addresses_by_environment(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("SHIPSTONE_NOTIFY__URLS", text)
    urls = load_settings(tmp_path / "config.toml").notify.urls
    assert [url.get_secret_value() for url in urls] == ["json://a", "json://b"]
