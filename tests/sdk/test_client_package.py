"""`web-client-types/`, the client's half: built, type-checked and tested in Node.js, the session with both SDKs."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / "node_modules").exists() and not os.environ.get("CI"), reason="no node_modules"
)


def run(*command: str) -> None:
    ran = subprocess.run([str(ROOT / "scripts/with-node"), *command], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    run("npm", "run", "build", "--workspace", "web-client-types")


def test_its_types_fit_those_of_the_sdks() -> None:
    run("npm", "run", "check", "--workspace", "tests/sdk")


def test_the_page_has_no_type_errors() -> None:
    run("npm", "run", "check", "--workspace", "server/web")


def test_merging_reducing_sending_and_sessions_do_what_their_tests_say() -> None:
    run("npm", "test", "--workspace", "tests/sdk")
