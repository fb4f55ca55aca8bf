"""Settings and the stages that take their values from them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from codelupe_daemon import config
from codelupe_daemon.errors import UsageError
from codelupe_daemon.examine import ExamineSettings
from codelupe_daemon.fetch import FetchLimits
from codelupe_daemon.pipeline import PipelineLimits

SETTINGS = config.Settings()
SCHEMES = {"store": "postgresql", "redis": "redis", "mongo": "mongodb"}


@pytest.mark.parametrize("stage", [ExamineSettings(), FetchLimits(), PipelineLimits()])
def test_a_stage_and_its_settings_have_the_same_defaults(stage: Any) -> None:
    shared = [f.name for f in fields(stage) if f.name in config.Settings.model_fields]
    assert shared
    assert {name: getattr(stage, name) for name in shared} == {
        name: getattr(SETTINGS, name) for name in shared
    }


def test_every_threshold_of_a_verdict_is_a_setting() -> None:
    names = {field.name for field in fields(ExamineSettings)}
    assert names <= config.Settings.model_fields.keys()


def test_languages_in_the_environment_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CODELUPE_LANGUAGES", "Rust, C++,")
    assert config.load().languages == {"Rust", "C++"}


@pytest.mark.parametrize("store", ["mysql://host/db", "sqlite://host/file.db", "http://[1/db"])
def test_a_store_of_another_kind_is_refused(store: str) -> None:
    with pytest.raises(UsageError, match=r"CODELUPE_STORE"):
        config.load(store=store)


@pytest.mark.parametrize(
    ("name", "url"),
    [("redis", "http://h"), ("elasticsearch", "h:9200"), ("mongo", "redis://h")],
)
def test_a_url_of_another_server_is_refused(name: str, url: str) -> None:
    with pytest.raises(UsageError, match=f"the setting {name} .* give a URL that begins with"):
        config.load(**{name: url})


# -- passwords --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("store", "postgresql://ada:s3cret@h/db"),
        ("store", "postgresql://h/db?password=s3cret"),
        ("redis", "redis://:s3cret@h/1"),
        ("elasticsearch", "https://ada:s3cret@h:9200"),
        ("elasticsearch", "https://s3cret@h:9200"),
        ("mongo", "mongodb://ada:s3cret@h/db"),
    ],
)
def test_a_password_on_the_command_line_is_refused(name: str, url: str) -> None:
    with pytest.raises(UsageError, match=f"CODELUPE_{name.upper()}") as refused:
        config.load(**{name: url})
    assert "s3cret" not in str(refused.value)


def test_a_password_in_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODELUPE_STORE", "postgresql://ada:s3cret@h/db?password=s3cret")
    assert config.without_secrets(config.load().store) == "postgresql://h/db"
    monkeypatch.setenv("CODELUPE_STORE", "mysql://ada:s3cret@h/db?password=s3cret")
    with pytest.raises(UsageError, match="mysql://h/db") as refused:
        config.load()
    assert "s3cret" not in str(refused.value)


def test_credentials_come_before_the_settings_file_and_after_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = tmp_path / "credentials", tmp_path / "codelupe.toml"
    folder.mkdir()
    for name in ("store", "redis", "mongo"):
        (folder / name).write_text(f"{SCHEMES[name]}://credential:s3cret@h/1\n")
    file.write_text('store = "file.db"\nelasticsearch = "http://file"\n')
    monkeypatch.setitem(config.Settings.model_config, "toml_file", file)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    monkeypatch.setenv("CODELUPE_REDIS", "redis://environment")
    settings = config.load(mongo="mongodb://option")
    assert settings.store == "postgresql://credential:s3cret@h/1"
    assert settings.redis == "redis://environment"
    assert settings.mongo == "mongodb://option"
    assert settings.elasticsearch == "http://file"


# -- where things lie -------------------------------------------------------------------------


def test_an_embedded_store_has_its_things_beside_it() -> None:
    settings = config.load(store="sqlite:///data/code.db")
    assert not settings.is_served
    assert settings.store_path == Path("/data/code.db")
    assert settings.search_path == Path("/data/code-search.db")
    assert settings.scratch_path == Path("/data/scratch")


def search_path(store: str) -> Path:
    return config.Settings(store=store).search_path


def test_a_served_store_has_its_things_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    settings = config.load(store="postgres://ada@db/code")
    assert settings.is_served
    assert settings.scratch_path == Path("/data/codelupe/scratch")
    assert settings.search_path.parent == Path("/data/codelupe")


def test_a_served_store_has_one_search_index_on_a_machine_whoever_asks() -> None:
    same = {
        search_path(store)
        for store in (
            "postgres://db/code", "postgresql://db:5432/code", "postgresql://ada:s3cret@db/code",
        )
    }  # fmt: skip
    others = {
        search_path(store)
        for store in (
            "postgresql://db/other", "postgresql://db:5433/code", "postgresql://host/code",
            "postgresql:///code?host=/run/one", "postgresql:///code?host=/run/two",
        )
    }  # fmt: skip
    assert (len(same), len(others), len(same | others)) == (1, 5, 6)
