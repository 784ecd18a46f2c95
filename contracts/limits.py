"""
Every bound of the server in one place: what has a size, a count or a deadline has its number here.

Names carry their unit last. What an operator may change is a setting (`server/settings.py`) whose
default and range come from here; the rest is fixed, because clients or the wire depend on it.
"""

# -- messages ---------------------------------------------------------------------------------------------------------
#: One inbound WebSocket message; past it the connection closes 1009.
MESSAGE_BYTES_MAX = 16 * 1024
#: Fragments one message may come in; past it the connection closes 1002.
MESSAGE_FRAGMENTS_MAX = 64
#: Nesting of arrays and maps in a payload.
MSGPACK_DEPTH_MAX = 16
#: Keys and values in one payload, counted over all its containers.
MSGPACK_VALUES_MAX = 2048
#: The type name of a message, in UTF-8 bytes.
MESSAGE_TYPE_BYTES_MAX = 64
#: One HTTP body; past it the answer is 413.
HTTP_BODY_BYTES_MAX = 64 * 1024
#: The head of one HTTP request; past it the connection is cut.
HTTP_HEAD_BYTES_MAX = 32 * 1024
#: From a request's head to the end of its body; past it the answer is 408.
HTTP_BODY_S = 8.0
#: HTTP requests a second of one address, and how many may come at once; past it the answer is 429.
HTTP_RATE = 100
HTTP_BURST = 1_000
#: New WebSockets a second of one address, and how many may come at once; past it the answer to the upgrade is 429.
CONNECT_RATE = 50
CONNECT_BURST = 500
#: Addresses whose rates are remembered.
PEERS_MAX = 10_000
#: Join options kept with a seat, as JSON.
JOIN_OPTIONS_BYTES_MAX = 4 * 1024
#: An access token as it comes; a longer one is refused unread.
ACCESS_TOKEN_BYTES_MAX = 4 * 1024
#: How long an access token may live; one that lives longer is refused, for a logout is remembered no longer.
ACCESS_TOKEN_S_MAX = 30 * 24 * 3600

# -- what players say -------------------------------------------------------------------------------------------------
#: A player's name after trimming.
NAME_CHARS_MAX = 32
#: A chat line after trimming.
CHAT_CHARS_MAX = 500
#: The name of an `intent.action`.
ACTION_CHARS_MAX = 32
#: The target of an `intent.action`.
TARGET_CHARS_MAX = 64

# -- connections ------------------------------------------------------------------------------------------------------
#: From the upgrade to the JOIN_ROOM byte; past it the connection closes 4010.
HANDSHAKE_S = 5.0
#: Silence after which a connection is pinged.
PING_S = 20.0
#: Silence after that ping which ends it (the SDK then sees 1006).
PONG_S = 10.0
#: How long a closing peer has to answer the close frame.
CLOSE_S = 2.0
#: What a peer may still send once the closing has begun; past it the socket is cut.
LATE_BYTES_MAX = 256 * 1024
#: Bytes waiting in a connection's socket past which its pings are not answered: who sends pings and never reads.
PONG_BACKLOG_BYTES_MAX = 16 * 1024
#: One read from a socket: picows' buffer grows with every read that fills it.
READ_BYTES_MAX = 8 * 1024
#: What a resuming client has to say `session.resume` in; past it a snapshot is sent.
RESUME_S = 2.0
#: What the kernel takes of a connection's output before any waits here. Linux doubles it, and the reader's side takes
#: as much again: a client that reads nothing is noticed after some 250 KiB, not after megabytes.
KERNEL_SEND_BYTES = 64 * 1024
#: Bytes waiting in a connection's socket past which it lags: it gets answers only ...
LAG_BYTES = 256 * 1024
#: ... until no more than these wait; then it is caught up.
CAUGHT_UP_BYTES = 32 * 1024
#: What it has to read of them, each time in so long, or it closes 4507; `CLOSE_S` later it is cut, within 5 s in all.
LAG_READ_BYTES_MIN = 64 * 1024
LAG_S = 2.5
#: Bytes that may go to a lagging connection all the same; past them it closes 4507 at once.
LAG_ANSWERS_BYTES_MAX = 512 * 1024
#: Frames a second, each second of the window below, past which a connection closes 4505.
FLOOD_FRAMES_PER_S = 200
#: Length of the flood window.
FLOOD_WINDOW_S = 2.0
#: Bytes a second a connection may send over the flood window.
FLOOD_BYTES_PER_S = 256 * 1024
#: Messages without a readable `seq` in a row that close a connection 4506.
UNREADABLE_MAX = 10
#: Frames taken before the join byte; past it the connection closes 4505.
PARKED_FRAMES_MAX = 256
#: From finding a room's owner to its TCP connection; past it the client is told to come back.
RELAY_CONNECT_S = 2.0
#: Connections of one node.
CONNECTIONS_MAX = 12_000
#: Connections between their dial and their join byte, at once; those beyond are refused with 503 and dial again.
ARRIVALS_MAX = 1_000
#: Sessions in the rooms of one node, connected or held; past it joins are refused with 503.
SESSIONS_MAX = 20_000
#: Seats of a room that names no number of its own.
ROOM_CLIENTS_MAX = 1_000
#: Rooms one node holds active.
ROOMS_MAX = 1_000

# -- sessions and seats -----------------------------------------------------------------------------------------------
#: Intents a second of one session, and how many may come at once.
INTENT_RATE = 20
INTENT_BURST_FACTOR = 2
#: How long a seat reservation counts.
SEAT_RESERVATION_S = 15.0
#: How long a dropped session's seat is held.
HOLD_S = 60.0
#: Without a message for this long a session is ended (4503).
IDLE_S = 600.0
#: Outcomes of intents remembered in memory for each session; older ones are read from the journal.
OUTCOMES_MAX = 512
#: Outcomes of each session that a snapshot holds.
OUTCOMES_IN_SNAPSHOT_MAX = 64
#: Two connections of a session may have their tokens count at once: the one it came with and the one it was given.
TOKENS_MAX = 2
#: A session of another node's room is to end: times that its node is told, and between two of them.
EVICTION_ATTEMPTS_MAX = 15
EVICTION_PAUSE_S = 0.2
#: Attempts of a matchmaking call at a room that was full or gone when reached.
PLACE_ATTEMPTS_MAX = 5

# -- rooms and the journal --------------------------------------------------------------------------------------------
#: Actions applied and not yet durable, over all rooms of a node; past it intents are rejected `overloaded`.
PENDING_ACTIONS_MAX = 10_000
#: What a room holds until it may be shown; past it, who asks for an answer once more is closed 4010.
HELD_MAX = 20_000
#: Rows and bytes of one flush.
FLUSH_ROWS_MAX = 2_048
FLUSH_BYTES_MAX = 4 * 1024 * 1024
#: Journal entries a room keeps in memory for resumes.
HISTORY_ENTRIES_MAX = 2_048
#: Bytes of those entries.
HISTORY_BYTES_MAX = 2 * 1024 * 1024
#: Older entries that are read from the journal for a resume; past that, or past the bytes, a snapshot is cheaper.
RECALL_ENTRIES_MAX = 5_000
RECALL_BYTES_MAX = 2 * 1024 * 1024
#: Rows of one page of such a read: as many as may be decoded without holding up the other rooms.
RECALL_PAGE_ROWS = 250
#: Rooms of one node that are read so at once; a resume past it gets a snapshot.
RECALLS_MAX = 16
#: Old numbers of sessions that are read from the journal at once, and how many may wait for that; who asks for one more
#: is closed 4010.
LOOK_UPS_AT_ONCE = 2
LOOK_UPS_MAX = 1_000
#: Actions between two snapshots in the table.
SNAPSHOT_EVERY = 5_000
#: For so many seats: a snapshot holds all sessions, and a room of four times as many waits for it four times as long.
SNAPSHOT_SEATS = 250
#: How long a room without sessions stays active.
ROOM_LINGER_S = 30.0
#: Areas of interest that a room remembers the chunks of.
AREAS_MAX = 4_096
#: Between two deltas of a room.
PATCH_RATE_MS = 50
#: The age of an unsent durable change at which a room sends at once.
FRESHNESS_MS = 100
#: How long an action may wait to be durable before the node gives up.
DURABILITY_BUDGET_S = 5.0
#: Rows of one page of the journal.
JOURNAL_PAGE_ROWS_MAX = 1_000
#: Rooms in one listing.
LISTING_ROOMS_MAX = 1_000

# -- nodes ------------------------------------------------------------------------------------------------------------
#: A node's lease, and how often it is renewed.
LEASE_S = 10.0
LEASE_RENEW_S = 3.0
#: A stop within 5 s of its signal: the drain, then the closing handshakes, then the databases.
DRAIN_S = 2.5
CLOSE_ALL_S = 1.0
STOP_DATABASES_S = 1.0
#: A supervisor's workers all drain at once; those that take longer are killed.
STOP_WORKERS_S = 3.8
