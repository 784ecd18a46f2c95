"""
Areas: the deltas of a room that has an area of interest, made by chunk.

It keeps the located entries as the last deltas left them (*shown*: memory is ahead of that), by chunk. At a tick it
takes the changes since, and sorts what they say by where an entry was and where it is now. Each such group is encoded
at most once in each of its forms, however many clients get it:

    where it was, where it is      both in the area   only the first   only the second
    what the area's clients get    the patch          null             the whole entry

A client that goes from one chunk to another has an area before and one after. Of the chunks in both it gets what is
said above, of those it left a null for each entry it had, of those that came each entry whole:

    nulls of what was left  ->  changes of what stays  ->  entries of what came

in this order, as an entry may go with one and come with the other. All clients that made the same way share one
frame; so do all of a chunk that stayed. An encoded part is a patch of its own in the delta's list: a frame is joined
from them, not encoded.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from contracts import limits
from contracts.events import Delta
from contracts.message import Tree
from server.core.colyseus.frames import header
from server.core.colyseus.pack import array, pack
from server.core.effects import Send
from server.core.history import Change
from server.core.interest import Area, Chart, Chunk
from server.core.link import Link
from server.core.state import apply_in_place, compose, merge

_STATE_DELTA = header(Delta.TYPE)
_PATCHES = b"\xa7patches"
_NO_PATCHES = _PATCHES + b"\x90"

#: By map and key.
Entries = dict[str, dict[str, Tree]]
#: Where an entry, or a session, was and is; None is nowhere.
Way = tuple[Chunk | None, Chunk | None]


class _Located:
    """An entry as it was last shown, with what the tick says of it: patches in order, None for its removal."""

    __slots__ = ("chunk", "key", "map", "said", "tree")

    def __init__(self, map_name: str, key: str, tree: Tree | None = None, chunk: Chunk | None = None) -> None:
        self.map = map_name
        self.key = key
        #: None if there is no such entry.
        self.tree = tree
        self.chunk = chunk
        self.said: list[Tree | None] = []


class _Moved:
    """The entries that changed along one way, in each of three forms: as changes, as gone, as new."""

    __slots__ = ("_changes", "_gone", "_whole", "touched")

    def __init__(self) -> None:
        self.touched: list[_Located] = []
        self._changes: list[bytes] | None = None
        self._gone: list[bytes] | None = None
        self._whole: list[bytes] | None = None

    def changes(self) -> list[bytes]:
        if self._changes is None:
            layers: list[Tree] = []
            for each in self.touched:
                for depth, one in enumerate(each.said):
                    if depth == len(layers):
                        layers.append({})
                    layers[depth].setdefault(each.map, {})[each.key] = one
            self._changes = [pack(patch) for patch in layers]
        return self._changes

    def gone(self) -> list[bytes]:
        if self._gone is None:
            nulls: Tree = {}
            for each in self.touched:
                nulls.setdefault(each.map, {})[each.key] = None
            self._gone = [pack(nulls)]
        return self._gone

    def whole(self) -> list[bytes]:
        if self._whole is None:
            entries: Tree = {}
            for each in self.touched:
                entries.setdefault(each.map, {})[each.key] = each.tree
            self._whole = [pack(entries)]
        return self._whole


class _Local:
    """What one tick says of one chunk."""

    __slots__ = ("came", "had", "has", "left", "stayed")

    def __init__(self) -> None:
        #: Entries that changed and stayed here; that left, with where to; that came, with where from.
        self.stayed: _Moved | None = None
        self.left: list[tuple[Chunk | None, _Moved]] = []
        self.came: list[tuple[Chunk | None, _Moved]] = []
        #: A null for all that was here; all that is here. None until somebody wants it.
        self.had: list[bytes] | None = None
        self.has: list[bytes] | None = None


class _Turn:
    """What one tick says, to whoever was in one area and is in another."""

    def __init__(self, around: Callable[[Chunk | None], Area], chunks: Mapping[Chunk, Entries]) -> None:
        #: What is said of all that is not located, encoded.
        self.others: list[bytes] = []
        #: The ways of sessions that went from one chunk to another.
        self.crossed: dict[str, Way] = {}
        self._around = around
        self._chunks = chunks
        self._ways: dict[Way, _Moved] = {}
        self._locals: dict[Chunk, _Local] = {}

    def note(self, old: Chunk | None, new: Chunk | None, touched: _Located) -> None:
        """An entry changed that was, or is, somewhere."""
        moved = self._ways.get((old, new))
        if moved is None:
            moved = self._ways[old, new] = _Moved()
            if old == new and old is not None:
                self._local(old).stayed = moved
            else:
                if old is not None:
                    self._local(old).left.append((new, moved))
                if new is not None:
                    self._local(new).came.append((old, moved))
        moved.touched.append(touched)

    def parts(self, way: Way) -> list[bytes]:
        """The patches of a delta, each encoded, in order."""
        old, new = way
        parts = list(self.others)
        if old == new:
            self._add_changes(parts, self._around(old))
            return parts
        before, after = self._around(old), self._around(new)
        for chunk in before - after:
            parts += self._nulls(chunk)
        self._add_changes(parts, before & after)
        for chunk in after - before:
            parts += self._entries(chunk)
        return parts

    def _add_changes(self, parts: list[bytes], area: Area) -> None:
        for chunk in area:
            local = self._locals.get(chunk)
            if local is None:
                continue
            if local.stayed is not None:
                parts += local.stayed.changes()
            for new, moved in local.left:
                parts += moved.changes() if new in area else moved.gone()
            for old, moved in local.came:
                if old not in area:
                    parts += moved.whole()

    def _entries(self, chunk: Chunk) -> list[bytes]:
        """All that is in a chunk now."""
        local = self._local(chunk)
        if local.has is None:
            here = self._chunks.get(chunk)
            local.has = [pack(here)] if here else []
        return local.has

    def _nulls(self, chunk: Chunk) -> list[bytes]:
        """A null for all that was in a chunk before."""
        local = self._local(chunk)
        if local.had is None:
            nulls: dict[str, Tree] = {name: dict.fromkeys(here) for name, here in self._chunks.get(chunk, {}).items()}
            for _, moved in local.came:
                for each in moved.touched:
                    del nulls[each.map][each.key]
            for _, moved in local.left:
                for each in moved.touched:
                    nulls.setdefault(each.map, {})[each.key] = None
            local.had = [pack(nulls)] if any(nulls.values()) else []
        return local.had

    def _local(self, chunk: Chunk) -> _Local:
        local = self._locals.get(chunk)
        if local is None:
            local = self._locals[chunk] = _Local()
        return local


class Areas:
    """The located entries as they were last shown."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._around = lru_cache(limits.AREAS_MAX)(chart.around)
        self.restart({})

    def restart(self, tree: Tree) -> None:
        """`tree`, which becomes ours, is the state that has been shown."""
        #: By map and key.
        self._located: dict[str, dict[str, _Located]] = {name: {} for name in self._chart.maps}
        #: By chunk, for those that hold any: the same entries as they are sent.
        self._chunks: dict[Chunk, Entries] = {}
        for name, of_map in self._located.items():
            for key, entry in tree.get(name, {}).items():
                of_map[key] = _Located(name, key, entry, self._chart.chunk_of(entry))
                self._put(of_map[key])

    def deltas(self, delta: Delta, changes: Iterable[Change], live: Mapping[str, Link]) -> list[Send]:
        """
        Show `changes`, which lead from the roomSeq shown to that of `delta`; and tell the live links.

        `delta` has no patches of its own. Every link gets one frame, though nothing may have changed for it.
        """
        turn = _Turn(self._around, self._chunks)
        touched = self._sort(changes, turn)
        for located in touched:
            self._advance(located, turn)
        head, _, tail = pack(delta).partition(_NO_PATCHES)
        head = _STATE_DELTA + head + _PATCHES
        groups = self._by_way(live, turn.crossed)
        sends = [Send(links, head + array(turn.parts(way)) + tail) for way, links in groups.items()]
        for located in touched:
            located.said = []
        return sends

    def _sort(self, changes: Iterable[Change], turn: _Turn) -> list[_Located]:
        """What the changes say, put by the entries that it is said of; returns these."""
        others: list[Tree] = []
        touched: list[_Located] = []
        for change in changes:
            for name, patch in (change.patch or {}).items():
                of_map = self._located.get(name)
                if of_map is None:
                    merge(others, {name: patch})
                    continue
                for key, one in patch.items():
                    located = of_map.get(key)
                    if located is None:
                        located = of_map[key] = _Located(name, key)
                    if not located.said:
                        touched.append(located)
                    located.said.append(one)
        turn.others = [pack(patch) for patch in others]
        return touched

    def _advance(self, located: _Located, turn: _Turn) -> None:
        """Show what is said of one entry."""
        old, tree, said = located.chunk, located.tree, located.said
        if len(said) > 1:
            said = located.said = _composed(said)
        for one in said:
            if one is None:
                tree = None
            else:
                tree = {} if tree is None else tree
                apply_in_place(tree, one)
        new = None if tree is None else self._chart.chunk_of(tree)
        if old != new or said[0] is None:
            # One that was replaced is another, though it may be where the old one was.
            self._take(located)
            located.tree, located.chunk = tree, new
            self._put(located)
            if old != new and located.map == self._chart.own:
                turn.crossed[located.key] = (old, new)
        if old is not None or new is not None:
            turn.note(old, new, located)

    def _by_way(self, live: Mapping[str, Link], crossed: Mapping[str, Way]) -> dict[Way, list[Link]]:
        """The live links, by where their sessions were and are."""
        own = self._located[self._chart.own]
        groups: dict[Way, list[Link]] = {}
        for session_id, link in live.items():
            way = crossed.get(session_id)
            if way is None:
                located = own.get(session_id)
                chunk = None if located is None else located.chunk
                way = (chunk, chunk)
            if way in groups:
                groups[way].append(link)
            else:
                groups[way] = [link]
        return groups

    def _put(self, located: _Located) -> None:
        if located.chunk is None or located.tree is None:
            del self._located[located.map][located.key]
        else:
            self._chunks.setdefault(located.chunk, {}).setdefault(located.map, {})[located.key] = located.tree

    def _take(self, located: _Located) -> None:
        if located.chunk is None:
            return
        here = self._chunks[located.chunk]
        del here[located.map][located.key]
        if not here[located.map]:
            del here[located.map]
        if not here:
            del self._chunks[located.chunk]


def _composed(said: list[Tree | None]) -> list[Tree | None]:
    """What was said of an entry in turn, in as few patches as possible; nothing counts that was said before a None."""
    if len(said) == 1:
        return said
    after = len(said) - said[::-1].index(None) if None in said else 0
    return [*([None] if after else []), *compose(one for one in said[after:] if one is not None)]
