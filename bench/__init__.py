"""
Benchmarks: the server as it is installed, under load from another process. They are not installed with it.

    python -m bench         Holdfast beside its peers (`make bench`)
    python -m bench.cost    what an acked action of ours costs: one run, for work on the hot path
    python -m bench.idle    what a connection costs that only is there
    python -m bench.storage what PostgreSQL and Redis see of an action and of a player

    databases    one PostgreSQL for all             subjects     ours and its peers, started alike
    places       which cores each side gets         generator    the bots, a process of their own
    usage        CPU and memory, read from outside  run          one subject under one load: its figures
    parts/       the questions, one module each     journal      whether what was acked was committed
    ratios, comparison, budget                      what several runs say together
    progress, tables, report                        and how it is told
    crowd        many connections that mostly keep still, for `idle`
"""
