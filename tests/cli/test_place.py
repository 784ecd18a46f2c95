"""Where a node listens, and what others are told of that."""

import socket
import sys

import pytest

from server.place import CannotListen, address_of, listen, next_ports, standing_of


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_node_is_dialled_where_it_listens(host: str) -> None:
    with listen(host, 0) as listener:
        assert f"127.0.0.1:{listener.getsockname()[1]}" == address_of(listener)


def test_a_node_that_listens_everywhere_is_dialled_at_the_machines_own_address() -> None:
    with listen("0.0.0.0", 0) as listener:
        host, _, port = address_of(listener).rpartition(":")
        assert host not in ("0.0.0.0", "")
        with socket.create_connection((host, int(port)), 5):
            listener.accept()[0].close()


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names its boots and networks")
def test_where_a_node_stands_is_named_alike_for_whoever_listens_there_next_and_for_nobody_else() -> None:
    with listen("127.0.0.1", 0) as listener, listen("127.0.0.1", 0) as other:
        port, before = listener.getsockname()[1], standing_of(listener)
        assert before is not None
        assert before != standing_of(other)
    with listen("127.0.0.1", port) as listener:
        assert before == standing_of(listener)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("n1.example:443", "n1.example:445"),
        ("n1.example:80/80", "n1.example:82/80"),
        ("[2001:db8::80]:80", "[2001:db8::80]:82"),
    ],
)
def test_the_next_ports_of_an_address_change_nothing_else(address: str, expected: str) -> None:
    assert expected == next_ports(address, 2)
