/** What lies where, read from the room's state. */

import { type GameState, TILE_NAMES, type WorldState } from "holdfast-client";

export type TileName = (typeof TILE_NAMES)[number];

export interface Place {
  readonly x: number;
  readonly y: number;
}

export type Way = readonly [dx: number, dy: number];

export const WAYS: Readonly<Record<string, Way>> = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] };

const CHUNK = 16;

/** The tile at a place; water beyond the world's edge, which is where it is drawn. */
export function tileAt(world: WorldState, x: number, y: number): TileName {
  if (x < 0 || y < 0 || x >= world.width || y >= world.height) return "water";
  const chunk = world.tiles[`${Math.floor(x / CHUNK)},${Math.floor(y / CHUNK)}`];
  return TILE_NAMES[chunk?.[y % CHUNK]?.[x % CHUNK] ?? 0] ?? "grass";
}

export function isOpen(tile: TileName): boolean {
  return tile !== "wall" && tile !== "water" && tile !== "door_closed";
}

export function isDoor(tile: TileName): boolean {
  return tile === "door_closed" || tile === "door_open";
}

/** Places whose tile is not the same in both worlds; null if they are not the same size. */
export function changedTiles(before: WorldState, after: WorldState): Place[] | null {
  if (before.width !== after.width || before.height !== after.height) return null;
  const changed: Place[] = [];
  for (const [key, rows] of Object.entries(after.tiles)) {
    const old = before.tiles[key];
    if (old === rows) continue;
    const [cx, cy] = key.split(",").map(Number) as [number, number];
    for (const [row, tiles] of Object.entries(rows)) {
      if (old?.[row] === tiles) continue;
      tiles.forEach((tile, column) => {
        if (old?.[row]?.[column] !== tile) changed.push({ x: cx * CHUNK + column, y: cy * CHUNK + Number(row) });
      });
    }
  }
  return changed;
}

export interface Reach {
  /** "x,y" of a door, the id of an item, the session of a player: what each action would be done to. */
  readonly open?: { readonly target: string; readonly at: Place; readonly closes: boolean };
  readonly take?: { readonly target: string; readonly at: Place; readonly kind: string };
  readonly drop?: { readonly target: string };
  readonly strike?: { readonly target: string; readonly at: Place; readonly name: string };
}

/** What the player of `sessionId` could do now, to what is faced or, failing that, to what is next to them. */
export function reachOf(state: GameState, sessionId: string): Reach {
  const own = state.players[sessionId];
  if (!own) return {};
  const [dx, dy] = WAYS[own.facing]!;
  const around = [0, -1, 1].flatMap((y) => [0, -1, 1].map((x) => ({ x: own.x + x, y: own.y + y })));
  const places = [{ x: own.x + dx, y: own.y + dy }, ...around];
  const door = places.find((at) => isDoor(tileAt(state.world, at.x, at.y)) && !(at.x === own.x && at.y === own.y));
  const items = Object.entries(state.world.items);
  const item = first([around[0]!, ...places], (at) => items.find(([, thing]) => thing.x === at.x && thing.y === at.y));
  const others = Object.entries(state.players).filter(([id, player]) => id !== sessionId && player.connected);
  const other = first(places, (at) => others.find(([, player]) => player.x === at.x && player.y === at.y));
  const kind = Object.keys(own.inventory)[0];
  return {
    ...(door && {
      open: { target: `${door.x},${door.y}`, at: door, closes: tileAt(state.world, door.x, door.y) === "door_open" },
    }),
    ...(item && { take: { target: item[0], at: item[1], kind: item[1].kind } }),
    ...(kind && { drop: { target: kind } }),
    ...(other && { strike: { target: other[0], at: other[1], name: other[1].name } }),
  };
}

function first<From, To>(items: readonly From[], find: (item: From) => To | undefined): To | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
