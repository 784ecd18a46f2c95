"""
Canaries: the secrets that tests know, and the places where none of them may show (promise P9).

Whoever makes or hears a secret in a test tells it to `KNOWN`: the wire client its access and reconnection tokens, a
server its JWT secret and its databases' passwords. When a server ends, its log and what it printed are searched for
all that is known by then, and so are the databases' logs: a hit fails whoever started it.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

#: A shorter one is a word that may stand anywhere.
SECRET_CHARS_MIN = 12
_WORD = re.compile(r"[A-Za-z0-9_-]+")


class Canaries:
    """Secrets, and a search for them that takes as long as the text, however many there are."""

    def __init__(self) -> None:
        #: Tokens and passwords, which stand in a text as words.
        self._words: set[str] = set()
        #: Others.
        self._phrases: set[str] = set()

    def know(self, *secrets: object) -> None:
        """Of a JWT the signature counts: its other parts are no secret. What is no text is none either."""
        for secret in secrets:
            text = secret.rpartition(".")[2] if isinstance(secret, str) and secret.count(".") == 2 else secret
            if isinstance(text, str) and len(text) >= SECRET_CHARS_MIN:
                (self._words if _WORD.fullmatch(text) else self._phrases).add(text)

    def know_password_of(self, *urls: str) -> None:
        self.know(*(urlsplit(url).password for url in urls))

    def found_in(self, name: str, text: str) -> Iterator[str]:
        """Each line that shows a secret, with the secret masked."""
        for number, line in enumerate(text.splitlines(), 1):
            shown = self._words.intersection(_WORD.findall(line)) | {each for each in self._phrases if each in line}
            if shown:
                for secret in shown:
                    line = line.replace(secret, f"<secret of {len(secret)} characters>")
                yield f"{name}:{number}: {line}"

    def found_in_files(self, paths: Iterable[Path]) -> list[str]:
        return [
            leak
            for path in paths
            if path.exists()
            for leak in self.found_in(path.name, path.read_text(errors="replace"))
        ]


#: Of this pytest process, and what its servers run with.
KNOWN = Canaries()


def database_logs(data_dir: Path) -> list[Path]:
    """What the embedded databases of a folder have said."""
    return [*data_dir.glob("postgres/log/*.log"), *data_dir.glob("postgres/start.log"), *data_dir.glob("valkey/*.log")]
