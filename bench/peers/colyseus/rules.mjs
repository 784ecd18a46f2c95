/**
 * The rules of Holdfast's `game` room (server/rooms/game/room.py): each function judges one intent and applies it.
 *
 * It returns why it was refused, or else undefined, and has added to `touched` whatever it changed beside the player's
 * own character, as [collection, key].
 */
import {
  DOOR_CLOSED, DOOR_OPEN, FACINGS, FLOOR, GRASS, HP_MAX, Item, OPEN, SAND, SIZE, SPAWNS, WATER,
} from "./state.mjs";

const ITEMS = 40;
const ITEMS_MAX = 1000;
const CARRIED_MAX = 64;
const ITEM_KINDS = ["apple", "berry", "coin", "flower", "key", "potion", "shield", "shell"];
const OBSTACLES = {
  undefined: "The world ends here.",
  [WATER]: "The water is too deep.",
  [DOOR_CLOSED]: "The door is closed.",
};
const [UP, DOWN, LEFT, RIGHT] = FACINGS.keys();
const WAYS = [[0, -1], [0, 1], [-1, 0], [1, 0]];

const any = (list) => list[Math.floor(Math.random() * list.length)];
export const anySpawn = () => any(SPAWNS);

// -- what there is ----------------------------------------------------------------------------------------------------

/** undefined outside the world */
const tileAt = (state, x, y) => state.land[y]?.[x];
const isNear = (own, x, y) => Math.abs(x - own.x) <= 1 && Math.abs(y - own.y) <= 1;
const faced = (own) => [own.x + WAYS[own.facing][0], own.y + WAYS[own.facing][1]];

function setTile({ land, world }, x, y, tile, touched) {
  const row = land[y];
  land[y] = world.tiles[y] = row.slice(0, x) + tile + row.slice(x + 1);
  touched.push(["tiles", y]);
}

function place(target) {
  const found = /^\s*(-?\d+)\s*,\s*(-?\d+)\s*$/.exec(target);
  return found && [Number(found[1]), Number(found[2])];
}

function* charactersAt(state, x, y) {
  for (const [id, other] of state.players) if (other.x === x && other.y === y) yield [id, other];
}

function itemBefore(state, own) {
  for (const [x, y] of [[own.x, own.y], faced(own)]) {
    for (const [id, item] of state.world.items) if (item.x === x && item.y === y) return id;
  }
  return undefined;
}

/** Someone on the tile faced, who can be struck if anyone there can. */
function characterBefore(state, own) {
  const there = [...charactersAt(state, ...faced(own))];
  return there.find(([, other]) => other.connected) ?? there[0];
}

// -- intents ----------------------------------------------------------------------------------------------------------

export function move(state, own, dx, dy) {
  const x = own.x + dx;
  const y = own.y + dy;
  const tile = tileAt(state, x, y);
  if (!OPEN.has(tile)) return OBSTACLES[tile] ?? "A wall is in the way.";
  own.x = x;
  own.y = y;
  own.facing = dx ? (dx < 0 ? LEFT : RIGHT) : dy < 0 ? UP : DOWN;
}

/** Open a door, or close it; a target is "x,y". */
function open(state, own, target, touched) {
  const at = target === undefined ? faced(own) : place(target);
  if (!at || !isNear(own, ...at)) return "Only a door next to you can be opened.";
  const tile = tileAt(state, ...at);
  if (tile === DOOR_CLOSED) setTile(state, ...at, DOOR_OPEN, touched);
  else if (tile !== DOOR_OPEN) return "There is no door.";
  else if (!charactersAt(state, ...at).next().done) return "Someone stands in the doorway.";
  else setTile(state, ...at, DOOR_CLOSED, touched);
}

/** Pick up a thing underfoot, else on the tile faced; a target is the id of one within reach. */
function take(state, own, target, touched) {
  const { items } = state.world;
  const id = target ?? itemBefore(state, own);
  if (id === undefined) return "There is nothing to take.";
  const item = items.get(id);
  if (item === undefined) return "That is not there any more.";
  if (!isNear(own, item.x, item.y)) return "That is too far away.";
  let carried = 0;
  for (const count of own.inventory.values()) carried += count;
  if (carried >= CARRIED_MAX) return "You cannot carry any more.";
  items.delete(id);
  own.inventory.set(item.kind, (own.inventory.get(item.kind) ?? 0) + 1);
  touched.push(["items", id]);
}

/** Put down what was first picked up; a target is a kind. */
function drop(state, own, target, touched) {
  const kind = target ?? own.inventory.keys().next().value;
  if (kind === undefined) return "You carry nothing.";
  if (!own.inventory.has(kind)) return "You do not carry that.";
  if (state.world.items.size >= ITEMS_MAX) return "Too much lies around already.";
  putDown(state, own, [kind], touched);
}

/** Hit the character on the tile faced; a target is the session id of one within reach. */
function strike(state, own, target, touched) {
  const [id, other] = (target === undefined ? characterBefore(state, own) : [target, state.players.get(target)]) ?? [];
  if (other === undefined) return "Nobody is there.";
  if (other === own) return "You cannot strike yourself.";
  if (!isNear(own, other.x, other.y)) return `${other.name} is out of reach.`;
  if (!other.connected) return `${other.name} is away and cannot be struck.`;
  const hp = other.hp - 1 - Math.floor(Math.random() * 3);
  if (hp > 0) other.hp = hp;
  else fall(state, other, touched);
  touched.push(["players", id]);
}

const ACTIONS = { open, take, drop, strike };

export function act(state, own, name, target, touched) {
  if (!Object.hasOwn(ACTIONS, name)) return `Nobody here can '${name}': it is ${Object.keys(ACTIONS).join(", ")}.`;
  return ACTIONS[name](state, own, target, touched);
}

// -- things -----------------------------------------------------------------------------------------------------------

/** What the ground has no room for stays with its owner. */
function fall(state, fallen, touched) {
  const carried = [...fallen.inventory].flatMap(([kind, count]) => Array(count).fill(kind));
  putDown(state, fallen, carried.slice(0, ITEMS_MAX - state.world.items.size), touched);
  [fallen.x, fallen.y] = anySpawn();
  fallen.hp = HP_MAX;
}

function putDown(state, own, kinds, touched) {
  for (const [n, kind] of kinds.entries()) {
    const left = own.inventory.get(kind) - 1;
    if (left > 0) own.inventory.set(kind, left);
    else own.inventory.delete(kind);
    lay(state, n, kind, own.x, own.y, touched);
  }
}

/** The n-th thing laid down by the action that is being applied. */
function lay(state, n, kind, x, y, touched) {
  const id = `i${state.roomSeq + 1}-${n}`;
  state.world.items.set(id, new Item().assign({ kind, x, y }));
  touched.push(["items", id]);
}

/** When less than half of a fresh world's things lie around, bring them back, more of them indoors. */
export function scatter(state, touched) {
  const { items } = state.world;
  if (items.size >= ITEMS / 2) return;
  for (let n = 0; items.size < ITEMS; ) {
    const [x, y] = [Math.floor(Math.random() * SIZE), Math.floor(Math.random() * SIZE)];
    const tile = tileAt(state, x, y);
    if (tile === FLOOR || ((tile === GRASS || tile === SAND) && Math.random() < 0.25)) {
      lay(state, n++, any(ITEM_KINDS), x, y, touched);
    }
  }
}
