"""`holdfast types`: what is generated from the contracts."""

import typer

from server.cli.endings import note
from server.cli.options import AsJson
from server.exit_codes import ExitCode


def types(as_json: AsJson = False) -> None:
    """Regenerate the schemas and TypeScript types from `contracts/`; prints the files that changed. In a checkout."""
    from server.cli.printing import print_json
    from server.tools.types import ROOT, regenerate

    if not (ROOT / "scripts" / "with-node").is_file():
        note(f"holdfast: types are made in a checkout of the source, and {ROOT} is none")
        raise typer.Exit(ExitCode.CHECKOUT)
    changed = regenerate()
    if as_json:
        print_json({"changed": changed})
        return
    for path in changed:
        print(path)
    note(f"{len(changed)} files changed")
