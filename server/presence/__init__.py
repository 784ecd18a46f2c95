"""
Presence: who is here, which room is where, and which seats are promised, in Redis or Valkey.

Redis is a hint and never the truth: it may vanish or come back empty at any moment. What is written here is written
whole, so that writing it again repairs everything; nothing is the only copy of anything but what expires anyway.

    store          the connection: short deadline, no retries, vendor errors as faults, Lua by name
    directory      room listings, alive as long as their node's lease
    reservations   a seat found, counted and promised in one step; redeemed once
    sessions       the record of each session, with the hashes of its reconnection tokens
    revocations    access tokens that count no more
    bus            short messages from node to node, which may be lost

Keys are hash-tagged by room name where one call touches several, so each call stays in one slot of a Redis Cluster.
"""

from server.presence.bus import Bus
from server.presence.directory import Directory, FilterValue, Listing
from server.presence.reservations import Placed, Refusal, Reservation, Reservations
from server.presence.revocations import Revocations
from server.presence.sessions import SessionRecord, Sessions
from server.presence.store import Store

__all__ = [
    "Bus",
    "Directory",
    "FilterValue",
    "Listing",
    "Placed",
    "Refusal",
    "Reservation",
    "Reservations",
    "Revocations",
    "SessionRecord",
    "Sessions",
    "Store",
]
