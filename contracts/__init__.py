"""
The contract with the outside: every message, HTTP body and code, with its limits.

    limits, codes           numbers and words
    message                 what all messages are made of
    intents, events         client to server, server to client
    http, states            HTTP bodies; rooms' states as clients see them
    schema/                 JSON Schemas and the AsyncAPI document, generated from the above

Nothing here does I/O or knows how the server works; everything else imports it.
"""

#: Compared for equality with what a client was built for. Rises with each change that old clients can't bear.
PROTOCOL_VERSION = "1"
