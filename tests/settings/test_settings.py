"""Facts about the settings: what is taken, what is refused, and that no secret is repeated."""

from pathlib import Path

import pytest

from server.settings import BadSetting, Problem, Settings, describe, effective, environment_of, load

PASSWORD = "hunter2-canary"
DATABASE_URL = f"postgresql://player:{PASSWORD}@db.example:5432/holdfast"
JWT_SECRET = "canary-" * 6


def problems_of(environ: dict[str, str], overrides: dict[str, object] | None = None) -> list[Problem]:
    with pytest.raises(BadSetting) as caught:
        load(environ, overrides)
    return caught.value.problems


def test_nothing_given_is_the_defaults() -> None:
    assert Settings() == load({})


def test_every_setting_can_be_given_as_its_default_and_takes_its_example() -> None:
    for doc in describe():
        load({doc.variable: doc.default})
        if doc.variable != "HOLDFAST_JWT_JWKS_FILE":  # its example is a file that is not here
            load({doc.variable: doc.example})


def test_every_setting_says_what_it_means_what_it_takes_and_how_it_looks() -> None:
    assert [doc.variable for doc in describe() if not (doc.meaning and doc.kind and doc.example)] == []


def test_numbers_of_time_and_count_say_their_unit() -> None:
    assert [doc.variable for doc in describe() if doc.variable.endswith(("_S", "_MS", "_MAX")) and not doc.unit] == []


def test_texts_become_typed_values() -> None:
    environ = {
        "HOLDFAST_PORT": " 3000 ",
        "HOLDFAST_GUESTS": "false",
        "HOLDFAST_HOLD_S": "45.5",
        "HOLDFAST_TRANSPORT": "websockets",
        "HOLDFAST_ALLOWED_ORIGINS": "https://game.example, http://localhost:*",
    }
    settings = load(environ)
    assert (settings.port, settings.guests, settings.hold_s, settings.transport) == (3000, False, 45.5, "websockets")
    assert settings.allowed_origins == ("https://game.example", "http://localhost:*")


def test_a_flag_wins_over_a_variable_and_none_is_no_flag() -> None:
    settings = load({"HOLDFAST_PORT": "3000", "HOLDFAST_HOST": "0.0.0.0"}, {"port": 4000, "host": None})
    assert (settings.port, settings.host) == (4000, "0.0.0.0")


def test_an_empty_variable_counts_as_not_given() -> None:
    assert load({"HOLDFAST_PORT": ""}).port == 2567


def test_variables_of_others_are_left_alone() -> None:
    assert Settings() == load({"PATH": "/bin", "PORT": "x"})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HOLDFAST_PORT", "eighty"),
        ("HOLDFAST_PORT", "65536"),
        ("HOLDFAST_PORT", "-1"),
        ("HOLDFAST_GUESTS", "maybe"),
        ("HOLDFAST_TRANSPORT", "carrier-pigeon"),
        ("HOLDFAST_HOLD_S", "nan"),
        ("HOLDFAST_HOLD_S", "inf"),
        ("HOLDFAST_INTENT_RATE", "0"),
        ("HOLDFAST_ALLOWED_ORIGINS", "null"),
        ("HOLDFAST_ALLOWED_ORIGINS", "https://game.example/path"),
        ("HOLDFAST_ALLOWED_ORIGINS", "https://*.example"),
        ("HOLDFAST_ALLOWED_ORIGINS", "https://good.example,game.example"),
        ("HOLDFAST_PUBLIC_ADDRESS", "wss://game.example"),
        ("HOLDFAST_PUBLIC_ADDRESS", "game.example:port"),
        ("HOLDFAST_JWT_JWKS_FILE", "/nowhere/jwks.json"),
        ("HOLDFAST_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_itself_and_an_example(variable: str, text: str) -> None:
    (problem,) = problems_of({variable: text})
    assert variable == problem.variable
    assert repr(text) in problem.problem
    assert problem.example
    assert str(problem).startswith(f"{variable}: must be ")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("HOLDFAST_DATABASE_URL", f"mysql://player:{PASSWORD}@db.example/holdfast"),
        ("HOLDFAST_DATABASE_URL", f"postgresql://player:{PASSWORD}@db.example:port/holdfast"),
        ("HOLDFAST_REDIS_URL", f"http://:{PASSWORD}@cache.example"),
        ("HOLDFAST_JWT_SECRET", PASSWORD),
    ],
)
def test_a_bad_secret_is_refused_without_being_repeated(variable: str, text: str) -> None:
    (problem,) = problems_of({variable: text})
    assert variable == problem.variable
    assert PASSWORD not in str(problem)


def test_a_bad_flag_is_named_as_a_flag() -> None:
    assert [problem.variable for problem in problems_of({}, {"lease_s": "x"})] == ["--lease-s"]


def test_all_problems_are_told_at_once() -> None:
    environ = {"HOLDFAST_PORT": "x", "HOLDFAST_HOLD_S": "y", "HOLDFAST_COLOUR": "blue"}
    assert {"HOLDFAST_PORT", "HOLDFAST_HOLD_S", "HOLDFAST_COLOUR"} == {p.variable for p in problems_of(environ)}


def test_an_unknown_variable_is_refused_with_the_nearest_setting_and_without_its_value() -> None:
    (problem,) = problems_of({"HOLDFAST_JWT_SECERT": PASSWORD})
    assert "HOLDFAST_JWT_SECRET" in problem.problem
    assert PASSWORD not in str(problem)


def test_only_secrets_can_come_from_files() -> None:
    (problem,) = problems_of({"HOLDFAST_PORT_FILE": "/run/port"})
    assert problem.variable == "HOLDFAST_PORT_FILE"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"HOLDFAST_LEASE_RENEW_S": "6"}, "HOLDFAST_LEASE_RENEW_S"),
        ({"HOLDFAST_HOLD_S": "15"}, "HOLDFAST_HOLD_S"),
        ({"HOLDFAST_WORKERS": "4", "HOLDFAST_PORT": "65533"}, "HOLDFAST_PORT"),
        ({"HOLDFAST_WORKERS": "2", "HOLDFAST_PUBLIC_ADDRESS": "game.example"}, "HOLDFAST_PUBLIC_ADDRESS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], variable: str) -> None:
    (problem,) = problems_of(environ)
    assert variable == problem.variable


def test_the_burst_is_twice_the_rate_unless_given() -> None:
    assert load({}).intent_burst_max == 40
    assert load({"HOLDFAST_INTENT_RATE": "5"}).intent_burst_max == 10
    assert load({"HOLDFAST_INTENT_BURST": "7"}).intent_burst_max == 7
    assert load({"HOLDFAST_INTENT_RATE": "0.1"}).intent_burst_max == 1


def test_a_secret_may_be_a_file_whose_last_line_break_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(JWT_SECRET + "\n")
    environ = {"HOLDFAST_JWT_SECRET_FILE": str(tmp_path / "secret")}
    assert load(environ).jwt_secret == JWT_SECRET


def test_a_missing_secret_file_is_refused_by_the_name_given() -> None:
    (problem,) = problems_of({"HOLDFAST_JWT_SECRET_FILE": "/nowhere/secret"})
    assert problem.variable == "HOLDFAST_JWT_SECRET_FILE"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(JWT_SECRET)
    environ = {"HOLDFAST_JWT_SECRET": JWT_SECRET, "HOLDFAST_JWT_SECRET_FILE": str(tmp_path / "secret")}
    assert [problem.variable for problem in problems_of(environ)] == ["HOLDFAST_JWT_SECRET"]


def test_a_child_finds_the_settings_that_it_is_given_and_those_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://elsewhere/")
    environ = {"HOLDFAST_DATABASE_URL_FILE": str(tmp_path / "url"), "HOLDFAST_PORT": "3000", "PATH": "/bin"}
    given = environment_of(environ, {"database_url": DATABASE_URL, "workers": 1})
    assert (DATABASE_URL, 3000, 1) == ((child := load(given)).database_url, child.port, child.workers)
    assert "/bin" == given["PATH"]


def test_the_effective_values_name_their_source_and_mask_secrets() -> None:
    environ = {"HOLDFAST_DATABASE_URL": DATABASE_URL, "HOLDFAST_JWT_SECRET": JWT_SECRET, "HOLDFAST_HOST": "0.0.0.0"}
    overrides: dict[str, object] = {"port": 3000}
    shown = {v.variable: (v.value, v.source) for v in effective(load(environ, overrides), environ, overrides)}
    assert shown["HOLDFAST_DATABASE_URL"] == ("postgresql://***@db.example:5432/holdfast", "env")
    assert shown["HOLDFAST_JWT_SECRET"] == ("***", "env")
    assert shown["HOLDFAST_REDIS_URL"] == ("", "default")
    assert shown["HOLDFAST_HOST"] == ("0.0.0.0", "env")
    assert shown["HOLDFAST_PORT"] == ("3000", "flag")
    assert shown["HOLDFAST_GUESTS"] == ("true", "default")


def test_settings_never_show_a_secret_of_themselves() -> None:
    settings = load({"HOLDFAST_DATABASE_URL": DATABASE_URL, "HOLDFAST_JWT_SECRET": JWT_SECRET})
    shown = f"{settings!r} {settings} {settings.__rich_repr__()}"
    assert PASSWORD not in shown
    assert JWT_SECRET not in shown
    assert "db.example" in shown


def test_a_password_with_reserved_characters_is_masked_whole() -> None:
    settings = load({"HOLDFAST_REDIS_URL": "redis://:a@b@cache.example"})
    assert "redis_url='redis://***@cache.example'" in repr(settings)
