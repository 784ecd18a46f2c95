"""
Benchmarks: the server as it is installed, under load from another process. They are not installed with it.

    acks      what an acknowledged, durable intent costs, and how long its player waits
    storage   what PostgreSQL and Redis see of an action and of a player
"""
