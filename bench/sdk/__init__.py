"""
The second witness: clients of the official `@colyseus/sdk` in Node.js, under load, with checks of their own.

    main.mjs ... waiting.mjs   the clients: the SDK, a merge patch, and no code of this project
    clients                    runs them, and takes what they found
    stage                      the server they play on, which may be killed in the middle
    journal                    what they were told against what PostgreSQL holds
    table                      what they found beside what `holdfast bots` found

`python -m bench.sdk` does it all; see the README here.
"""
