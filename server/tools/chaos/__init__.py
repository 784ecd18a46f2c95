"""
Chaos: faults done on purpose to a real server under load, and a check that nothing acknowledged was lost.

    scenario --sets--> stage:   PostgreSQL and Valkey of its own, `holdfast serve` in processes, proxies, players
             --hurts-->         kill, freeze, cut, stall, fill, refuse
             --heals, waits-->  every player is back, answered, and at the end of its room's journal
    checker  --reads-->         what every client saw (`history`), and PostgreSQL once

It is a black box around the command: nothing of the server runs in this process, and what counts as right is said by
the promises (docs/chaos.md), not by what the server happens to do. The one thing it knows of the inside is that a
flush is the statement that inserts into `actions`.
"""
