-- Ids compare byte by byte (COLLATE "C"): faster than a language's order, and the same on every machine.

CREATE TABLE nodes (
    node_id text COLLATE "C" PRIMARY KEY,
    -- The data folder it runs on; null with databases of an operator's own.
    home text,
    address text NOT NULL,
    -- Each write of the node reads this row FOR SHARE where not fenced. Never set back.
    fenced boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX nodes_of_home ON nodes (home) WHERE NOT fenced;

-- Apart from nodes, so that a renewal doesn't contend with the node's writes for its row.
CREATE TABLE node_heartbeats (
    node_id text COLLATE "C" PRIMARY KEY REFERENCES nodes,
    lease interval NOT NULL,
    lease_until timestamptz NOT NULL,
    -- Since when each renewal came before the lease's end.
    unbroken_since timestamptz NOT NULL
);

CREATE TABLE rooms (
    room_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    -- The node that has it while active. No foreign key: it would lock the node's row once more.
    owner text COLLATE "C",
    epoch bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'dormant', 'ended')),
    -- JSON as bytes: PostgreSQL's own JSON refuses some of what JSON may hold.
    options bytea NOT NULL,
    metadata bytea NOT NULL,
    -- Each `"key":value` in JSON, so that containment is a match.
    filters bytea[] NOT NULL,
    -- 0: unbounded.
    max_clients integer NOT NULL,
    locked boolean NOT NULL,
    private boolean NOT NULL,
    -- When the room wants to be activated without a client.
    due_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((status = 'active') = (owner IS NOT NULL))
);
CREATE INDEX rooms_by_use ON rooms (name, updated_at DESC) WHERE status <> 'ended';

-- No foreign key to rooms: it would cost each flush a lock of the room's row.
CREATE TABLE actions (
    room_id text COLLATE "C" NOT NULL,
    room_seq bigint NOT NULL,
    epoch bigint NOT NULL,
    session_id text COLLATE "C",
    player_id text COLLATE "C",
    -- The intent's number in its session; null where no intent is behind the row.
    seq bigint,
    kind text NOT NULL,
    intent bytea,
    patch bytea,
    events bytea,
    -- SHA-256 of reconnection tokens, joined; shown to no reader.
    tokens bytea,
    -- Milliseconds since the Unix epoch.
    at bigint NOT NULL,
    PRIMARY KEY (room_id, room_seq)
) PARTITION BY HASH (room_id);
CREATE TABLE actions_0 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE actions_1 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE actions_2 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE actions_3 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE actions_4 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE actions_5 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE actions_6 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE actions_7 PARTITION OF actions FOR VALUES WITH (MODULUS 8, REMAINDER 7);
CREATE UNIQUE INDEX actions_once ON actions (room_id, session_id, seq) WHERE seq IS NOT NULL;

CREATE TABLE snapshots (
    room_id text COLLATE "C",
    room_seq bigint,
    epoch bigint NOT NULL,
    state bytea NOT NULL,
    sessions bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (room_id, room_seq)
);

CREATE TABLE characters (
    player_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    -- JSON, as the character last rested.
    profile bytea NOT NULL,
    -- Who has it, and since which entry; null at rest.
    room_id text COLLATE "C",
    session_id text COLLATE "C",
    room_seq bigint,
    CHECK (num_nulls(room_id, session_id, room_seq) IN (0, 3))
);

-- A flush must fail as a whole when it takes a character that somebody else has. Class 23, our own subclass.
CREATE FUNCTION refuse_take(player_id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the character of % is not there to be taken', player_id USING ERRCODE = '23R01';
END $$;

CREATE TABLE secrets (
    name text PRIMARY KEY,
    value bytea NOT NULL
);
