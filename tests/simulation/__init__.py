"""
The simulation: whole histories of several servers, clients and one PostgreSQL, thousands a minute, each from a seed.

    real        the node with its committer, leases, settlement, activation, and the core; the edge from the upgrade on
    simulated   time and chance, the event loops, sockets, PostgreSQL's tables; Redis is not there
    models      clients as interface.md documents them (`client.py`)

    loop.py      a clock that moves when told to, and an event loop a process: frozen, killed, thawed
    postgres.py  statements that land, do not land, or land late, heard of or not; refuses what nobody may write
    process.py   a server on its loop, and the sockets that reach it
    client.py    what a client knows, does, and holds the server to
    witness.py   every frame at the moment it is shown, against the journal of that moment
    world.py     all of them, and what may happen to them; `live(script)` plays a script to its end, heals, checks
    scripts.py   scripts from seeds, and the shortest that still breaks a promise

`make simulate ARGS="--seed 7 --runs 10000"` runs for long. A failure prints its seed and a minimal script; to look at
it, give that script to `live`.
"""
