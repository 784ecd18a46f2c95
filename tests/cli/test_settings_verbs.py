"""`config`, `migrate`, `doctor` and the command itself: settings that are right or wrong, and tables that are there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli.main import app
from server.embedded import Urls
from server.settings import Settings, describe
from server.storage import migrations
from tests.cli.command import ROOT, holdfast
from tests.serving import Server

URL = "postgresql://ann:canary@127.0.0.1:1/holdfast"
VERBS = (
    ("serve",),
    ("migrate", "up"),
    ("migrate", "status"),
    ("log",),
    ("state",),
    ("rooms",),
    ("token",),
    ("types",),
    ("config", "doc"),
    ("config", "env"),
    ("config", "check"),
    ("doctor",),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_that_is_a_sentence(verb: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(app, [*verb, "--help"])
    assert 0 == ended.exit_code
    assert ended.output.strip().splitlines()[2].strip()[0].isupper()
    assert verb == ("serve",) or "--json" in ended.output


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'asyncpg', 'numpy', 'psutil', 'redis', 'server.app', 'starlette'}"
    code = f"import sys, server.cli; print(sorted({heavy} & sys.modules.keys()))"
    assert b"[]\n" == subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout


def test_config_doc_has_every_setting() -> None:
    variables = [doc.variable for doc in describe()]
    table = CliRunner().invoke(app, ["config", "doc"]).output
    assert variables == [line.split()[0] for line in table.splitlines()[1:]]
    listed = json.loads(CliRunner().invoke(app, ["config", "doc", "--json"]).output)
    assert variables == [each["variable"] for each in listed]


async def test_config_env_masks_secrets_and_says_where_values_come_from() -> None:
    ended = await holdfast("config", "env", "--json", port=3000, database_url=URL, jwt_secret="canary" * 8)
    values = {each["variable"]: (each["value"], each["source"]) for each in ended.json}
    assert ("3000", "env") == values["HOLDFAST_PORT"]
    assert ("postgresql://***@127.0.0.1:1/holdfast", "env") == values["HOLDFAST_DATABASE_URL"]
    assert ("***", "env") == values["HOLDFAST_JWT_SECRET"]
    assert (Settings().host, "default") == values["HOLDFAST_HOST"]
    assert "canary" not in ended.out


@pytest.mark.parametrize("verb", [("config", "check"), ("serve",), ("rooms",)], ids=" ".join)
async def test_a_bad_setting_is_named_with_its_problem_and_an_example(verb: tuple[str, ...]) -> None:
    why = "holdfast: HOLDFAST_LEASE_S: must be a number from 0.1 to 3600, not 'soon' (example: 10)\n"
    assert (78, "", why) == await holdfast(*verb, lease_s="soon")


async def test_config_check_says_all_that_is_wrong_or_that_nothing_is() -> None:
    assert {"problems": []} == (await holdfast("config", "check", "--json")).json
    wrong = await holdfast("config", "check", "--json", port="x", leases=1)
    assert 78 == wrong.code
    assert "HOLDFAST_PORT" in wrong.out
    assert "HOLDFAST_LEASES" in wrong.out


@pytest.mark.parametrize("flag", [("--database-url", URL), ("--redis-url", "redis://127.0.0.1:1")])
async def test_serve_refuses_one_url_without_the_other_and_names_both(flag: tuple[str, str], tmp_path: Path) -> None:
    ended = await holdfast("serve", *flag, "--data-dir", tmp_path / "data")
    assert (78, "") == (ended.code, ended.out)
    assert "HOLDFAST_DATABASE_URL" in ended.err
    assert "HOLDFAST_REDIS_URL" in ended.err
    assert "canary" not in ended.err
    assert not (tmp_path / "data").exists()


async def test_with_both_urls_the_data_folder_is_neither_used_nor_locked(databases: Urls, tmp_path: Path) -> None:
    await migrations.up(databases.database_url)
    urls = ["--database-url", databases.database_url, "--redis-url", databases.redis_url]
    server = Server(tmp_path, [*urls, "--data-dir", str(tmp_path / "data"), "--port", "0"], {})
    await server.ready()
    assert 0 == await server.stop()
    assert not (tmp_path / "data").exists()


async def test_databases_that_cannot_be_reached_are_said_so_without_secrets() -> None:
    for verb in (("serve", "--redis-url", "redis://127.0.0.1:1"), ("rooms",)):
        ended = await holdfast(*verb, "--database-url", URL)
        assert (69, "") == (ended.code, ended.out)
        assert "PostgreSQL" in ended.err
        assert "canary" not in ended.err


@pytest.mark.parametrize("verb", [("log", "room"), ("token", "--player", "Ann")])
async def test_a_reader_does_not_make_a_data_folder(verb: tuple[str, ...], tmp_path: Path) -> None:
    ended = await holdfast(*verb, "--data-dir", tmp_path / "data")
    assert (66, "") == (ended.code, ended.out)
    assert f"{tmp_path / 'data'} holds no databases" in ended.err
    assert not (tmp_path / "data").exists()


async def test_tables_are_missing_then_made_then_as_they_should_be(databases: Urls) -> None:
    settings = {"database_url": databases.database_url, "redis_url": databases.redis_url}
    steps = [(step.version, step.name) for step in migrations.load_migrations()]
    for verb in ("serve", "rooms"):
        refused = await holdfast(verb, **settings)
        assert (65, "") == (refused.code, refused.out)
        assert "holdfast migrate up" in refused.err

    before = (await holdfast("migrate", "status", "--json", **settings)).json
    assert (steps, []) == ([(s["version"], s["name"]) for s in before["pending"]], before["applied"])
    taken = (await holdfast("migrate", "up", "--json", **settings)).json["taken"]
    assert steps == [(s["version"], s["name"]) for s in taken]
    assert (0, "") == (await holdfast("migrate", "up", **settings))[:2]
    after = (await holdfast("migrate", "status", "--json", **settings)).json
    assert (steps, []) == ([(s["version"], s["name"]) for s in after["applied"]], after["pending"])


async def test_a_doctor_examines_what_it_can_and_names_what_is_wrong(tmp_path: Path) -> None:
    ended = await holdfast("doctor", "--data-dir", tmp_path / "data", lease_s="soon", database_url=URL)
    assert 1 == ended.code
    for words in ("HOLDFAST_LEASE_S", "HOLDFAST_REDIS_URL", "not reached", "open files", "disk free", "python"):
        assert words in ended.out
    assert "canary" not in ended.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("args", [["nope"], ["log"], ["log", "room", "--from", "0"]], ids=" ".join)
def test_a_wrong_command_line_is_a_usage_error(args: list[str]) -> None:
    assert 2 == CliRunner().invoke(app, args).exit_code
