"""What tells a relayed request from a client's."""

from server.edge.relay import RelayMark

MARK = RelayMark(b"secret")
REQUEST = b"GET /p/r HTTP/1.1\r\nhost: here\r\n\r\n"


def marked(request: bytes, mark: RelayMark = MARK) -> list[bytes]:
    return mark.put_on(request).split(b"\r\n")


def test_a_mark_is_the_first_header() -> None:
    line, header, *rest = marked(REQUEST)
    assert (b"GET /p/r HTTP/1.1", [b"host: here", b"", b""]) == (line, rest)
    name, _, value = header.decode().partition(": ")
    assert MARK.is_on({name: value})


def test_nobody_marks_a_request_without_the_secret() -> None:
    name, _, value = marked(REQUEST, RelayMark(b"guess"))[1].decode().partition(": ")
    assert not MARK.is_on({name: value})
    assert not MARK.is_on({name: "1"})
    assert not MARK.is_on({name: "é"})
    assert not MARK.is_on({})
