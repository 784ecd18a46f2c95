"""
Storage: PostgreSQL, the truth about everything that must outlive a process.

    migrations            the tables (migrations/*.sql), from nothing to now
    statements            the SQL (sql/*.sql), one statement each
    database, classify    connections with an end to every wait; vendor errors become faults
    journal, moves        actions, and what they do to characters
    snapshots, rooms, nodes, characters, secrets
                          one table each, as methods

Everything here raises faults (`server.core.faults`) and decides nothing: retries, new identities and what a client is
told are the runtime's. Writes of a fenced node write nothing and raise `Fenced`.
"""
