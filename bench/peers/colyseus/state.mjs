/** The state that clients see: the fields of Holdfast's `game` room, in the types that take the fewest bytes. */
import { readFileSync } from "node:fs";

import { ArraySchema, Encoder, schema, t } from "@colyseus/schema";

/** The whole state of a full room (tiles 10 KB, a player about 70 bytes); Colyseus warns, and grows, past it. */
Encoder.BUFFER_SIZE = 32 * 1024;

/** What a tile is, by the digit that stands for it in a row. */
export const [GRASS, SAND, FLOOR, WALL, WATER, DOOR_CLOSED, DOOR_OPEN] = "0123456";
export const OPEN = new Set([GRASS, SAND, FLOOR, DOOR_OPEN]);
/** `Character.facing` is a place in this list. */
export const FACINGS = ["up", "down", "left", "right"];
export const HP_MAX = 10;

export const Item = schema({ kind: t.string(), x: t.uint8(), y: t.uint8() }, "Item");

export const Character = schema(
  {
    playerId: t.string(),
    name: t.string(),
    x: t.uint8(),
    y: t.uint8(),
    hp: t.uint8(),
    facing: t.uint8(),
    inventory: t.map("uint8"),
    connected: t.boolean(),
  },
  "Character",
);

export const World = schema(
  { name: t.string(), width: t.uint8(), height: t.uint8(), tiles: t.array("string"), items: t.map(Item) },
  "World",
);

/** `roomSeq` is the number of the last action that it shows. */
export const Scene = schema({ world: World, players: t.map(Character), roomSeq: t.number() }, "Scene");

const LAND = JSON.parse(readFileSync(new URL("../world.json", import.meta.url), "utf8"));

export const SIZE = LAND.width;
const MIDDLE = SIZE / 2;
/** Where characters enter: the plaza without its rim. */
export const SPAWNS = [-2, -1, 0, 1, 2].flatMap((dy) => [-2, -1, 0, 1, 2].map((dx) => [MIDDLE + dx, MIDDLE + dy]));

/** A fresh world as plain collections: the form that snapshots have, that patches change, and that `load` takes. */
export const freshWorld = () => structuredClone({ tiles: { ...LAND.tiles }, items: LAND.items, players: {} });

/** A patch has, by collection and key, null for what is gone, the changed fields of a thing, or a row of tiles. */
export function applyPatch(state, patch) {
  for (const [collection, changes] of Object.entries(patch)) {
    const things = state[collection];
    for (const [key, change] of Object.entries(changes)) {
      if (change === null) delete things[key];
      else if (typeof change === "object") Object.assign((things[key] ??= {}), change);
      else things[key] = change;
    }
  }
}

/** The schema of plain collections; `land` holds the rows once more, for an ArraySchema is slow to read. */
export function load({ tiles, items, players }, roomSeq) {
  const scene = new Scene().assign({ roomSeq });
  scene.land = Object.values(tiles);
  scene.world = new World().assign({ name: LAND.name, width: LAND.width, height: LAND.height });
  scene.world.tiles = new ArraySchema(...scene.land);
  for (const [id, item] of Object.entries(items)) scene.world.items.set(id, new Item().assign(item));
  for (const [id, player] of Object.entries(players)) scene.players.set(id, loadCharacter(player));
  return scene;
}

export function loadCharacter({ inventory, ...about }) {
  const character = new Character().assign(about);
  for (const [kind, count] of Object.entries(inventory)) character.inventory.set(kind, count);
  return character;
}

const plainItem = ({ kind, x, y }) => ({ kind, x, y });
const plainCharacter = ({ playerId, name, x, y, hp, facing, inventory, connected }) => {
  return { playerId, name, x, y, hp, facing, inventory: Object.fromEntries(inventory), connected };
};

/** What a patch has of one thing. */
export const plainOf = {
  tiles: ({ land }, y) => land[y],
  items: ({ world }, id) => (world.items.has(id) ? plainItem(world.items.get(id)) : null),
  players: ({ players }, id) => (players.has(id) ? plainCharacter(players.get(id)) : null),
};

export function plain({ land, world, players }) {
  const each = (things, plainThing) => Object.fromEntries([...things].map(([id, thing]) => [id, plainThing(thing)]));
  return { tiles: { ...land }, items: each(world.items, plainItem), players: each(players, plainCharacter) };
}
