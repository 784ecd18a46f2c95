"""
Builds the hot path as C extensions, by mypyc, from the same sources that run without it.

Where mypyc, a C compiler or Python's headers are missing, or anything fails, nothing is built and the sources run as
they are: the same server, slower. What was built from which sources is written down in `server/compiled.json`, for
`server/compiled.py` to see whether the two still agree.
"""

import hashlib
import json
import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
#: Of the core: what holds structs that are read back from bytes or have class variables, of which mypyc makes fields
#: without types, and what is seldom needed.
PYTHON = ("__init__.py", "event_record.py", "membership.py", "primitives.py", "recovery.py", "rules.py")
RUNTIME = ("admission.py", "backoff.py", "clock.py", "committer.py", "inbox.py", "queue.py", "runner.py")
#: All that a message passes between its socket and its journal entry, and back, but for the classes that games derive
#: from and that the socket libraries ask for.
HOT = (
    *(
        path
        for folder in ("core", "core/colyseus")
        for path in sorted((ROOT / "server" / folder).glob("*.py"))
        if path.name not in PYTHON
    ),
    *(ROOT / "server/core/state" / name for name in ("merge.py", "node.py", "root.py", "values.py")),
    *(ROOT / "server/runtime" / name for name in RUNTIME),
    *(ROOT / "server/ops" / name for name in ("metrics.py", "series.py")),
    *(ROOT / "server/edge" / name for name in ("connection.py", "flood.py")),
    *(ROOT / "server/edge/transport" / name for name in ("exchange.py", "picows_exchange.py")),
)
MANIFEST = Path("server/compiled.json")


class Build(build_ext):
    """mypyc takes its time, so it is not asked when setuptools only wants the package's metadata."""

    def finalize_options(self) -> None:
        if not {"dist_info", "egg_info", "sdist"} & {*sys.argv}:
            self.distribution.ext_modules = _extensions()
        super().finalize_options()
        self.parallel = os.cpu_count()

    def run(self) -> None:
        folder = ROOT if self.inplace else Path(self.build_lib)
        # What is no longer built would still be imported.
        for old in (folder / MANIFEST, *(folder / "server").rglob("*.so")):
            old.unlink(missing_ok=True)
        super().run()
        built = [Path(self.get_ext_fullpath(extension.name)) for extension in self.extensions]
        if built and all(path.exists() for path in built):
            sources = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in HOT}
            manifest = {"suffix": sysconfig.get_config_var("EXT_SUFFIX"), "sources": sources}
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=1))


@cache
def _extensions() -> list[Extension]:
    try:
        from mypyc.build import mypycify
    except ImportError:
        return []
    try:
        options = ["--ignore-missing-imports", *(str(path.relative_to(ROOT)) for path in HOT)]
        extensions: list[Extension] = mypycify(
            options, opt_level="2", debug_level="0", multi_file=True, group_name="server.hot"
        )
    except SystemExit:  # its way to say that it can't
        return []
    for extension in extensions:
        extension.optional = True
        # Where a group with a dot in its name has its headers; several files look for them beside themselves.
        extension.include_dirs.append("build/server")
    return extensions


os.chdir(ROOT)
sys.path.insert(0, str(ROOT))
# The extension named here is only for setuptools to know that there will be some.
setup(ext_modules=[Extension("server.hot__mypyc", [])], cmdclass={"build_ext": Build})
