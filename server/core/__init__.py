"""The pure core of a room: no I/O, no clock, no randomness, no network, no logging. Those come in as arguments."""
