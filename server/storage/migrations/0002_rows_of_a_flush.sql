-- An entry as a flush sends it. Not the table's own type, to which a later step may add a column while older nodes run.
CREATE TYPE entry AS (
    room_id text,
    room_seq bigint,
    epoch bigint,
    kind text,
    at bigint,
    session_id text,
    player_id text,
    seq bigint,
    intent bytea,
    patch bytea,
    events bytea,
    tokens bytea
);

-- The moves of one character, folded.
CREATE TYPE move AS (
    player_id text,
    -- The session that has it before the first move ...
    from_room_id text,
    from_session_id text,
    -- ... unless it is at rest, where that will do.
    from_rest boolean,
    -- Whether the flush fails if neither holds.
    takes boolean,
    -- Who has it after the last move; null: at rest.
    room_id text,
    session_id text,
    room_seq bigint,
    -- Null: stays as it is.
    profile bytea
);
