"""The environment is checked as a whole before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nerapp import env
from tests.realservices import clean_environment

SECRET = "q8Zr2mVt0XcLw5Yd7NsKf3HbJg9PaEu1TiRoMxCvBnWqSzDyGhLk"
PEPPER = SECRET[::-1]
GOOD = {
    "ENV": "production",
    "SECRET_KEY": SECRET,
    "API_KEY_PEPPER": PEPPER,
    "ALLOWED_HOSTS": "ner.example.org",
    "DATABASE_URL": "postgresql://app:word@db/nerapp",
    "REDIS_URL": "redis://broker/0",
    "CACHE_URL": "redis://cache/0",
}


def refusals(environ: dict[str, str]) -> list[str]:
    with pytest.raises(env.EnvRefused) as refused:
        env.read(environ)
    return refused.value.lines


def test_a_complete_production_environment_is_accepted() -> None:
    checked = env.read(GOOD)
    assert (checked.env, checked.debug, checked.log_format, checked.detached) == (
        "production",
        False,
        "json",
        False,
    )
    assert checked.mlflow_tracking_uri == "postgresql://app:word@db/mlflow"


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"ENV"}))
@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_required_variable_that_is_missing_or_empty_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in GOOD.items() if key != name} | (
        {} if value is None else {name: value}
    )
    (line,) = refusals(environ)
    assert line == f"{name}: {'is not set' if value is None else 'is empty'}; expected {env.names()[name]}"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("ENV", "prod", "cannot be understood"),
        ("DEBUG", "1", "is true in production"),
        ("DEBUG", "perhaps", "cannot be understood"),
        ("SECRET_KEY", "short", "has 5 characters"),
        ("SECRET_KEY", "abcd" * 20, "has fewer than 5 distinct characters"),
        ("SECRET_KEY", "django-insecure-" + SECRET, "is a known example, not a secret"),
        ("API_KEY_PEPPER", SECRET, "is the same as SECRET_KEY"),
        ("ALLOWED_HOSTS", "ner.example.org,*", "holds * in production"),
        ("CSRF_TRUSTED_ORIGINS", "http://ner.example.org", "holds an http origin in production"),
        ("CORS_ALLOWED_ORIGINS", "http://shop.example.org", "holds an http origin in production"),
        ("CSRF_TRUSTED_ORIGINS", "ner.other.org", "holds something that is not an origin"),
        ("DATABASE_URL", "mysql://app@db/nerapp", "is not a PostgreSQL address"),
        ("DATABASE_URL", "postgresql://db/nerapp", "names no user or no database"),
        ("DATABASE_URL", "postgresql://app@db:port/nerapp", "is not an address"),
        ("DATABASE_OWNER_URL", "postgresql://app:other@db/nerapp", "is the same role as DATABASE_URL"),
        ("REDIS_URL", "http://broker", "is not a Redis address"),
        ("CACHE_URL", "redis://:word@broker:6379/1", "is the same server as REDIS_URL in production"),
        ("PORT", "0", "cannot be understood"),
        ("PORT", "eighty", "cannot be understood"),
        ("TRUSTED_PROXIES", "-1", "cannot be understood"),
        ("SITE_URL", "ner.other.org", "is not an origin"),
        ("SITE_URL", "https://ner.other.org/admin", "is not an origin"),
        ("EMAIL_URL", "https://mail.other.org", "is not the address of a mail server"),
        ("EMAIL_URL", "smtp://ner:word@mail.example.org:25", "would send a password unencrypted"),
        ("EMAIL_FROM", "people", "is not a mail address"),
        ("NOTIFY_GROUP_SECONDS", "-1", "cannot be understood"),
        ("LOG_LEVEL", "loud", "cannot be understood"),
        ("PREDICTION_RECORDING", "fast", "cannot be understood"),
    ],
)
def test_a_wrong_value_is_described_and_never_shown(name: str, value: str, what: str) -> None:
    (line,) = refusals(GOOD | {name: value})
    assert line == f"{name}: {what}; expected {env.names()[name]}"
    assert len(value) < 6 or value not in line


def test_every_mistake_is_told_at_once() -> None:
    lines = refusals(
        {"ENV": "production", "PORT": "x", "DEBUG": "1", "NERAPP_MODEL_DIR": "m", "REDIS_URL": "redis://a"}
    )
    named = {line.split(":")[0] for line in lines}
    assert named == {
        *("SECRET_KEY", "API_KEY_PEPPER", "ALLOWED_HOSTS", "DATABASE_URL", "CACHE_URL"),
        *("PORT", "DEBUG", "NERAPP_MODEL_DIR"),
    }
    assert len(lines) == len(named)


def test_a_misspelt_variable_of_ours_is_refused_with_the_nearest_name() -> None:
    assert refusals(GOOD | {"NERAPP_DATADIR": "x"}) == [
        "NERAPP_DATADIR: is not a variable of nerapp; expected NERAPP_DATA_DIR"
    ]


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET + "\n")
    environ = {name: value for name, value in GOOD.items() if name != "SECRET_KEY"}
    assert env.read(environ | {"SECRET_KEY_FILE": str(path)}).secret_key.get_secret_value() == SECRET
    assert "is set twice" in refusals(GOOD | {"SECRET_KEY_FILE": str(path)})[0]
    assert "names no readable file" in refusals(environ | {"SECRET_KEY_FILE": str(tmp_path / "none")})[0]


def test_outside_production_the_supervisors_files_are_read_and_variables_go_first(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secrets.env").write_text(f"SECRET_KEY={SECRET}\nAPI_KEY_PEPPER={PEPPER}\n")
    (tmp_path / "run" / "services.env").write_text(
        "DATABASE_URL=postgresql://app@one/nerapp\nREDIS_URL=redis://one\n"
    )
    home = {"NERAPP_HOME": str(tmp_path)}
    assert env.read(home).database_url == "postgresql://app@one/nerapp"
    assert env.read(home | {"REDIS_URL": "redis://two"}).redis_url == "redis://two"
    assert "DATABASE_URL: is not set" in "\n".join(refusals(home | {"ENV": "production"}))


def test_without_a_database_outside_production_it_is_detached_and_reaches_nobody(tmp_path: Path) -> None:
    checked = env.read({"NERAPP_HOME": str(tmp_path)})
    assert checked.detached
    assert "127.0.0.1:1/" in checked.database_url
    assert checked.secret_key != env.read({"NERAPP_HOME": str(tmp_path)}).secret_key


def test_neither_secrets_nor_addresses_are_in_the_representation() -> None:
    text = repr(env.read(GOOD))
    assert SECRET not in text
    assert "word" not in text


def test_a_process_with_a_wrong_environment_ends_before_its_apps_load_with_code_78(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "manage.py", "check"],
        cwd=env.PROJECT,
        env=clean_environment(tmp_path, ENV="production", LANG="C", PYTHONIOENCODING="ascii"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == env.EXIT_CONFIG
    assert "SECRET_KEY: is not set" in done.stderr
    assert "Traceback" not in done.stderr
    assert "inference.models" not in done.stderr
