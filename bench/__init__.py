"""
Benchmarks: the server as it is installed, under load from a process of its own. They call it, and are not installed with it.

    acks      what an acknowledged, durable intent costs, and how long its player waits
"""
