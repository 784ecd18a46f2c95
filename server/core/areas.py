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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

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

#: Where an entry, or a session, was and is; None is nowhere.
Way = tuple[Chunk | None, Chunk | None]


class _Touched(msgspec.Struct, frozen=True, gc=False):
    """A located entry that changed: patches to apply in order, None for its removal; and what it is now, if it is."""

    map: str
    key: str
    said: list[Tree | None]
    entry: Tree | None


class _Moved:
    """The entries that changed along one way, in each of three forms: as changes, as gone, as new."""

    __slots__ = ("_changes", "_gone", "_whole", "touched")

    def __init__(self) -> None:
        self.touched: list[_Touched] = []
        self._changes: list[bytes] | None = None
        self._gone: list[bytes] | None = None
        self._whole: list[bytes] | None = None

    def changes(self) -> list[bytes]:
        if self._changes is None:
            depth = max(len(each.said) for each in self.touched)
            layers = (
                ((each.map, each.key, each.said[layer]) for each in self.touched if layer < len(each.said))
                for layer in range(depth)
            )
            self._changes = [_patch(layer) for layer in layers]
        return self._changes

    def gone(self) -> list[bytes]:
        if self._gone is None:
            self._gone = [_patch((each.map, each.key, None) for each in self.touched)]
        return self._gone

    def whole(self) -> list[bytes]:
        if self._whole is None:
            self._whole = [_patch((each.map, each.key, each.entry) for each in self.touched)]
        return self._whole


class _Turn:
    """What one tick says, to whoever was in one area and is in another."""

    def __init__(self, chart: Chart, chunks: Mapping[Chunk, dict[str, dict[str, Tree]]], others: list[Tree]) -> None:
        #: The ways of sessions that went from one chunk to another.
        self.crossed: dict[str, Way] = {}
        self._chart = chart
        self._chunks = chunks
        self._others = [pack(patch) for patch in others]
        self._out_of: dict[Chunk | None, dict[Chunk | None, _Moved]] = {}
        self._into: dict[Chunk | None, dict[Chunk | None, _Moved]] = {}
        #: By chunk: all that was, and all that is in it.
        self._had: dict[Chunk, list[bytes]] = {}
        self._has: dict[Chunk, list[bytes]] = {}

    def note(self, old: Chunk | None, new: Chunk | None, touched: _Touched) -> None:
        moved = self._out_of.setdefault(old, {}).get(new)
        if moved is None:
            moved = self._out_of[old][new] = self._into.setdefault(new, {})[old] = _Moved()
        moved.touched.append(touched)

    def parts(self, way: Way) -> list[bytes]:
        """The patches of a delta, each encoded, in order."""
        before, after = (self._chart.around(chunk) for chunk in way)
        parts = list(self._others)
        for chunk in before - after:
            parts += self._nulls(chunk)
        self._add_changes(parts, before & after)
        for chunk in after - before:
            parts += self._entries(chunk)
        return parts

    def _add_changes(self, parts: list[bytes], area: Area) -> None:
        for chunk in area:
            for new, moved in self._out_of.get(chunk, {}).items():
                parts += moved.changes() if new in area else moved.gone()
            for old, moved in self._into.get(chunk, {}).items():
                if old not in area:
                    parts += moved.whole()

    def _entries(self, chunk: Chunk) -> list[bytes]:
        """All that is in a chunk now."""
        if chunk not in self._has:
            here = self._chunks.get(chunk)
            self._has[chunk] = [pack(here)] if here else []
        return self._has[chunk]

    def _nulls(self, chunk: Chunk) -> list[bytes]:
        """A null for all that was in a chunk before."""
        if chunk not in self._had:
            came = {(each.map, each.key) for each in self._elsewhere(self._into, chunk)}
            here = self._chunks.get(chunk, {})
            stayed = [(name, key) for name, entries in here.items() for key in entries if (name, key) not in came]
            left = [(each.map, each.key) for each in self._elsewhere(self._out_of, chunk)]
            was = stayed + left
            self._had[chunk] = [_patch((name, key, None) for name, key in was)] if was else []
        return self._had[chunk]

    @staticmethod
    def _elsewhere(ways: Mapping[Chunk | None, dict[Chunk | None, _Moved]], chunk: Chunk) -> Iterator[_Touched]:
        for other, moved in ways.get(chunk, {}).items():
            if other != chunk:
                yield from moved.touched


class Areas:
    """The located entries as they were last shown."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.restart({})

    def restart(self, tree: Tree) -> None:
        """`tree`, which becomes ours, is the state that has been shown."""
        #: By map and key: where each entry is.
        self._places: dict[str, dict[str, Chunk]] = {name: {} for name in self.chart.maps}
        #: By chunk, map and key: the entries, of those that hold any.
        self._chunks: dict[Chunk, dict[str, dict[str, Tree]]] = {}
        for name in self.chart.maps:
            for key, entry in tree.get(name, {}).items():
                self._put(name, key, entry, self.chart.chunk_of(entry))

    def deltas(self, delta: Delta, changes: Iterable[Change], live: Mapping[str, Link]) -> list[Send]:
        """
        Show `changes`, which lead from the roomSeq shown to that of `delta`; and tell the live links.

        `delta` has no patches of its own. Every link gets one frame, though nothing may have changed for it.
        """
        turn = self._advance(changes)
        own, crossed = self._places[self.chart.own], turn.crossed
        groups: dict[Way, list[Link]] = {}
        for session_id, link in live.items():
            way = crossed.get(session_id)
            if way is None:
                chunk = own.get(session_id)
                way = (chunk, chunk)
            if way in groups:
                groups[way].append(link)
            else:
                groups[way] = [link]
        head, _, tail = pack(delta).partition(_NO_PATCHES)
        head = _STATE_DELTA + head + _PATCHES
        return [Send(links, head + array(turn.parts(way)) + tail) for way, links in groups.items()]

    def _advance(self, changes: Iterable[Change]) -> _Turn:
        others: list[Tree] = []
        said: dict[str, dict[str, list[Tree | None]]] = {name: {} for name in self.chart.maps}
        for change in changes:
            if change.patch is not None:
                self._sort(change.patch, said, others)
        turn = _Turn(self.chart, self._chunks, others)
        for name, entries in said.items():
            for key, patches in entries.items():
                old = self._places[name].get(key)
                entry = self._patched(name, key, old, patches)
                new = None if entry is None else self.chart.chunk_of(entry)
                if old != new or patches[0] is None:
                    self._move(name, key, entry, old, new)
                if old != new and name == self.chart.own:
                    turn.crossed[key] = (old, new)
                if old is not None or new is not None:
                    turn.note(old, new, _Touched(name, key, patches, entry))
        return turn

    def _sort(self, patch: Tree, said: dict[str, dict[str, list[Tree | None]]], others: list[Tree]) -> None:
        """What a patch says of each located entry, behind what was said of it before; and all else."""
        for name, value in patch.items():
            if name not in said:
                merge(others, {name: value})
                continue
            of_map = said[name]
            for key, one in value.items():
                before = of_map.get(key)
                if one is None or before is None or before[-1] is None:
                    of_map[key] = [None] if one is None else [*(before or ()), *compose([one])]
                else:
                    merge(before, one)  # type: ignore[arg-type]  # only the first may be None, and merge looks at the last

    def _patched(self, name: str, key: str, chunk: Chunk | None, said: Sequence[Tree | None]) -> Tree | None:
        entry: Tree | None = None if chunk is None else self._chunks[chunk][name][key]
        for one in said:
            if one is None:
                entry = None
            else:
                entry = {} if entry is None else entry
                apply_in_place(entry, one)
        return entry

    def _move(self, name: str, key: str, entry: Tree | None, old: Chunk | None, new: Chunk | None) -> None:
        if old is not None:
            here = self._chunks[old]
            del here[name][key], self._places[name][key]
            if not here[name]:
                del here[name]
            if not here:
                del self._chunks[old]
        if entry is not None and new is not None:
            self._put(name, key, entry, new)

    def _put(self, name: str, key: str, entry: Tree, chunk: Chunk) -> None:
        self._places[name][key] = chunk
        self._chunks.setdefault(chunk, {}).setdefault(name, {})[key] = entry


def _patch(said: Iterable[tuple[str, str, Any]]) -> bytes:
    """A patch of located maps, encoded, from what it says of each entry."""
    patch: Tree = {}
    for name, key, value in said:
        patch.setdefault(name, {})[key] = value
    return pack(patch)
