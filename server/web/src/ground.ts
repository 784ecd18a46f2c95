/**
 * The ground of the whole world as one picture, 16 pixels a tile, painted once and mended where a tile changes.
 *
 * Grass, sand and water are not drawn tile by tile: each pixel asks a tile a little beside it, so that shores meander.
 * What is built (floors, walls, doors) keeps to its tiles.
 */

import type { WorldState } from "holdfast-client";
import { chanceAt, SmoothNoise } from "./noise.js";
import { type Place, type TileName, tileAt } from "./tiles.js";

export const TILE = 16;

const GRASS = 0;
const SAND = 1;
const WATER = 2;
const STONE = 3;
const PLANKS = 4;
const BRIDGE = 5;

type Rgb = readonly [number, number, number];

const rgb = (hex: number): Rgb => [hex >> 16, (hex >> 8) & 255, hex & 255];
const GRASSES = [0x3f7d45, 0x4a8c4a, 0x579b50, 0x68aa57].map(rgb);
const SANDS = [0xd6bb82, 0xe0c98f, 0xead7a2].map(rgb);
const WATERS = [0x1d5c7d, 0x246d8c, 0x2f809b, 0x459aae].map(rgb);
const STONES = [0x8d8f93, 0x999b9d, 0xa6a7a6, 0x84878d].map(rgb);
const BOARDS = [0x9c6b43, 0xa87549, 0xb48052, 0x93643f].map(rgb);
const [MORTAR, SEAM, TURF, BANK, FOAM, WET] = [0x6f7279, 0x774d30, 0x33683c, 0x7a6546, 0xbfe3de, 0xc2a36d].map(
  rgb,
) as [Rgb, Rgb, Rgb, Rgb, Rgb, Rgb];

/** A 4 x 4 threshold pattern: how pixel art shades without many colours. */
const DITHER = [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5].map((level) => (level + 0.5) / 16);

/** Tiles from a changed one up to which pixels may look different. */
const SPREAD = 1;

export class Ground {
  readonly picture = document.createElement("canvas");
  /** The same with one pixel a tile. */
  readonly map = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;
  private readonly wobble = new SmoothNoise(11, [32, 64]);
  private readonly shade = new SmoothNoise(23, [8, 16, 64]);
  private readonly width: number;
  private readonly height: number;
  private readonly kinds: Uint8Array;
  private readonly indoors: ReadonlySet<number>;
  /** The world's tiles in a row: they are asked for each pixel. */
  private tiles: readonly TileName[];

  constructor(private readonly world: WorldState) {
    this.tiles = flat(world);
    this.width = world.width * TILE;
    this.height = world.height * TILE;
    this.picture.width = this.width;
    this.picture.height = this.height;
    this.map.width = world.width;
    this.map.height = world.height;
    this.context = this.picture.getContext("2d", { alpha: false })!;
    this.kinds = new Uint8Array(this.width * this.height);
    this.indoors = indoorsOf(world);
    this.paint(0, 0, world.width, world.height);
  }

  /** Mends the picture where tiles have changed. */
  mend(world: WorldState, changed: readonly Place[]): void {
    this.tiles = flat(world);
    for (const { x, y } of changed) {
      const [left, top] = [Math.max(0, x - SPREAD), Math.max(0, y - SPREAD)];
      this.paint(left, top, Math.min(world.width, x + SPREAD + 1) - left, Math.min(world.height, y + SPREAD + 1) - top);
    }
  }

  private paint(left: number, top: number, columns: number, rows: number): void {
    const [x0, y0, x1, y1] = [left, top, left + columns, top + rows].map((tiles) => tiles * TILE) as [
      number, number, number, number,
    ];
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) this.kinds[y * this.width + x] = this.kindOf(x, y);
    const image = this.context.createImageData(x1 - x0, y1 - y0);
    let offset = 0;
    for (let y = y0; y < y1; y++) {
      for (let x = x0; x < x1; x++) {
        const [red, green, blue] = this.colourOf(x, y);
        const light = this.lightAt(x, y);
        image.data[offset++] = red * light;
        image.data[offset++] = green * light;
        image.data[offset++] = blue * light;
        image.data[offset++] = 255;
      }
    }
    this.context.putImageData(image, x0, y0);
    for (let y = top; y < top + rows; y++) for (let x = left; x < left + columns; x++) this.adorn(x, y);
    this.map.getContext("2d")!.drawImage(this.picture, x0, y0, x1 - x0, y1 - y0, left, top, columns, rows);
  }

  private tileAt(x: number, y: number): TileName {
    if (x < 0 || y < 0 || x >= this.world.width || y >= this.world.height) return "water";
    return this.tiles[y * this.world.width + x]!;
  }

  private kindOf(px: number, py: number): number {
    const [x, y] = [px >> 4, py >> 4];
    const own = this.tileAt(x, y);
    if (own !== "grass" && own !== "sand" && own !== "water") return this.builtKind(own, x, y);
    const dx = (this.wobble.at(px, py) - 0.5) * 12;
    const dy = (this.wobble.at(px + 97, py + 61) - 0.5) * 12;
    const beside = this.tileAt((px + Math.round(dx)) >> 4, (py + Math.round(dy)) >> 4);
    const shown = beside === "grass" || beside === "sand" || beside === "water" ? beside : own;
    return shown === "grass" ? GRASS : shown === "sand" ? SAND : WATER;
  }

  private builtKind(tile: TileName, x: number, y: number): number {
    if (this.indoors.has(y * this.world.width + x)) return PLANKS;
    if (tile === "wall") return STONE;
    const isOverWater = [[0, 1], [0, -1], [1, 0], [-1, 0]].some(
      ([dx, dy]) => this.tileAt(x + dx!, y + dy!) === "water",
    );
    return isOverWater ? BRIDGE : STONE;
  }

  private kind(px: number, py: number): number {
    if (px < 0 || py < 0 || px >= this.width || py >= this.height) return WATER;
    return this.kinds[py * this.width + px]!;
  }

  private colourOf(px: number, py: number): Rgb {
    switch (this.kind(px, py)) {
      case GRASS: {
        const below = this.kind(px, py + 1);
        if (below === SAND || below === WATER || this.kind(px, py + 2) === SAND) return TURF;
        return this.shaded(GRASSES, px, py, 1.5);
      }
      case SAND:
        if (this.isNear(px, py, WATER, 3)) return this.isNear(px, py, WATER, 1) ? BANK : WET;
        return this.shaded(SANDS, px, py, 1.2);
      case WATER:
        return this.waterColour(px, py);
      case STONE:
        return stoneColour(px, py);
      case PLANKS:
        return boardColour(px, py);
      default:
        return boardColour(py, px);
    }
  }

  private waterColour(px: number, py: number): Rgb {
    const above = [1, 2, 3].find((by) => this.kind(px, py - by) !== WATER);
    if (above !== undefined && above < 3) return BANK;
    if (above === 3 || this.isNear(px, py, SAND, 2) || this.isNear(px, py, GRASS, 2)) return FOAM;
    const reach = [5, 10, 18].findIndex((by) => this.isNearLand(px, py, by));
    const depth = reach < 0 ? 0 : (3 - reach) * 0.32;
    return this.shaded(WATERS, px, py, 0.6, depth - 0.1);
  }

  private isNearLand(px: number, py: number, by: number): boolean {
    return [[by, 0], [-by, 0], [0, by], [0, -by], [by, by], [-by, -by], [by, -by], [-by, by]].some(
      ([dx, dy]) => this.kind(px + dx!, py + dy!) !== WATER,
    );
  }

  private isNear(px: number, py: number, kind: number, by: number): boolean {
    return (
      this.kind(px + by, py) === kind ||
      this.kind(px - by, py) === kind ||
      this.kind(px, py + by) === kind ||
      this.kind(px, py - by) === kind
    );
  }

  /** One of `colours`, darkest first, by noise, with a dithered border between two. */
  private shaded(colours: readonly Rgb[], px: number, py: number, contrast: number, lift = 0): Rgb {
    const level = (this.shade.at(px >> 1, py >> 1) - 0.5) * contrast + 0.5 + lift;
    const step = level * (colours.length - 1) + (DITHER[(py & 3) * 4 + (px & 3)]! - 0.5) * 0.9;
    return colours[Math.max(0, Math.min(colours.length - 1, Math.round(step)))]!;
  }

  /** Shade that walls throw on the ground beside and below them. */
  private lightAt(px: number, py: number): number {
    const [x, y] = [px >> 4, py >> 4];
    const isTall = (dx: number, dy: number) => {
      const tile = this.tileAt(x + dx, y + dy);
      return tile === "wall" || tile === "door_closed";
    };
    if (isTall(0, 0)) return 1;
    const [inX, inY] = [px & 15, py & 15];
    if (inY < 4 && isTall(0, -1)) return inY < 2 ? 0.68 : 0.8;
    if (inX < 3 && isTall(-1, 0)) return 0.8;
    return 1;
  }

  /** Small things that grow or lie on a tile. */
  private adorn(x: number, y: number): void {
    const tile = this.tileAt(x, y);
    if (this.kind(x * TILE + 8, y * TILE + 8) > SAND) return;
    if (tile === "grass") this.adornGrass(x, y);
    else if (tile === "sand" && chanceAt(x, y, 3) < 0.22) {
      const [px, py] = [x * TILE + 3 + chanceAt(x, y, 4) * 9, y * TILE + 3 + chanceAt(x, y, 5) * 9];
      this.dots(px, py, ["#b69a66", "..##.", ".####", ".###."]);
    }
  }

  private adornGrass(x: number, y: number): void {
    const chance = chanceAt(x, y, 1);
    const [px, py] = [x * TILE + 2 + chanceAt(x, y, 6) * 9, y * TILE + 3 + chanceAt(x, y, 7) * 8];
    if (chance < 0.34) this.dots(px, py, ["#7dbb62", "#..#.", "#.##.", ".##..", "..#.."]);
    else if (chance < 0.46) this.dots(px, py, ["#346b3d", "#.#.#", ".###.", "..#.."]);
    else if (chance < 0.53) {
      const petal = ["#f3e9d2", "#f0c75e", "#d98fb5", "#9fb6ea"][Math.floor(chanceAt(x, y, 8) * 4)]!;
      this.dots(px, py, [petal, ".#.", "#.#", ".#."]);
      this.dots(px, py, ["#f5d76b", "...", ".#."]);
      this.dots(px, py, ["#346b3d", "", "", "", ".#.", "##."]);
    } else if (chance < 0.56) {
      this.dots(px, py, ["#5f6a68", "", ".####", "######", "######"]);
      this.dots(px, py, ["#98a29c", ".###", "####"]);
    }
  }

  /** Draws rows of `#` in the colour that comes first. */
  private dots(px: number, py: number, [colour, ...rows]: readonly string[]): void {
    this.context.fillStyle = colour!;
    rows.forEach((row, dy) => {
      for (let dx = 0; dx < row.length; dx++) {
        if (row[dx] === "#") this.context.fillRect(Math.floor(px) + dx, Math.floor(py) + dy, 1, 1);
      }
    });
  }
}

function stoneColour(px: number, py: number): Rgb {
  const row = py >> 3;
  const shifted = px + (row % 2) * 6;
  if (py % 8 === 7 || shifted % 12 === 11) return MORTAR;
  const stone = STONES[Math.floor(chanceAt(Math.floor(shifted / 12), row, 31) * STONES.length)]!;
  const isLit = py % 8 === 0 || shifted % 12 === 0;
  const isWorn = chanceAt(px, py, 32) < 0.05;
  return isWorn ? MORTAR : (stone.map((channel) => Math.min(255, channel + (isLit ? 14 : 0))) as unknown as Rgb);
}

function boardColour(px: number, py: number): Rgb {
  const row = Math.floor(py / 5);
  const shifted = px + Math.floor(chanceAt(row, 0, 33) * 24);
  if (py % 5 === 4 || shifted % 24 === 23) return SEAM;
  const board = BOARDS[Math.floor(chanceAt(Math.floor(shifted / 24), row, 34) * BOARDS.length)]!;
  return chanceAt(px >> 2, py, 35) < 0.12 ? (board.map((channel) => channel - 10) as unknown as Rgb) : board;
}

/** The tiles of rooms: floor from which no step leads outside but through a door. */
function indoorsOf(world: WorldState): ReadonlySet<number> {
  const seen = new Set<number>();
  const indoors = new Set<number>();
  for (let y = 0; y < world.height; y++) {
    for (let x = 0; x < world.width; x++) {
      if (seen.has(y * world.width + x) || tileAt(world, x, y) !== "floor") continue;
      const { room, isInside } = flood(world, x, y);
      for (const index of room) {
        seen.add(index);
        if (isInside) indoors.add(index);
      }
    }
  }
  return withDoors(world, indoors);
}

function flat(world: WorldState): readonly TileName[] {
  return Array.from({ length: world.width * world.height }, (_, index) =>
    tileAt(world, index % world.width, Math.floor(index / world.width)),
  );
}

function flood(world: WorldState, x: number, y: number): { room: Set<number>; isInside: boolean } {
  const room = new Set([y * world.width + x]);
  let isInside = true;
  for (const index of room) {
    const [cx, cy] = [index % world.width, Math.floor(index / world.width)];
    for (const [nx, ny] of [[cx + 1, cy], [cx - 1, cy], [cx, cy + 1], [cx, cy - 1]] as const) {
      const tile = tileAt(world, nx, ny);
      if (tile === "floor") room.add(ny * world.width + nx);
      else if (tile !== "wall" && !tile.startsWith("door")) isInside = false;
    }
  }
  return { room, isInside };
}

function withDoors(world: WorldState, indoors: ReadonlySet<number>): ReadonlySet<number> {
  const beside = [...indoors].flatMap((index) => [index + 1, index - 1, index + world.width, index - world.width]);
  const isBuilt = (index: number) => {
    const tile = tileAt(world, index % world.width, Math.floor(index / world.width));
    return tile === "wall" || tile.startsWith("door");
  };
  return new Set([...indoors, ...beside.filter(isBuilt)]);
}
