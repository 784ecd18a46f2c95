/** Walls and doors, half a tile taller than their tile, so that they hide who stands behind them. */

import { chanceAt } from "./noise.js";
import { TILE } from "./ground.js";

/** How far a wall rises above its tile. */
export const RISE = 8;

const TOP = ["#5b5563", "#635d6b", "#6b6573"];
const [TOP_EDGE, TOP_LIT, BRICKS, BRICK_LIT, JOINT, FOOT] = ["#3d3845", "#7d7786", "#8b7f80", "#9c9090", "#5f565b", "#4a434a"];
const [OAK, OAK_LIT, OAK_DARK, IRON] = ["#8a5a34", "#a06c40", "#5f3d24", "#33313a"];

/** Which of the four sides join another wall or door. */
export interface Joins {
  readonly up: boolean;
  readonly down: boolean;
  readonly left: boolean;
  readonly right: boolean;
}

export class Walls {
  private readonly made = new Map<string, HTMLCanvasElement>();

  wall(joins: Joins, x: number, y: number): HTMLCanvasElement {
    const variant = Math.floor(chanceAt(x, y, 41) * 3);
    return this.once(`wall/${keyOf(joins)}/${variant}`, (context) => paintWall(context, joins, variant));
  }

  /** A door in its frame; seen from the side where its wall runs up and down. */
  door(joins: Joins, isOpen: boolean): HTMLCanvasElement {
    const isSide = joins.up && joins.down;
    return this.once(`door/${isSide}/${isOpen}/${joins.down}`, (context) => {
      if (isSide) paintSideDoor(context, isOpen);
      else paintDoor(context, isOpen);
    });
  }

  private once(key: string, paint: (context: CanvasRenderingContext2D) => void): HTMLCanvasElement {
    const made = this.made.get(key);
    if (made) return made;
    const sprite = document.createElement("canvas");
    sprite.width = TILE;
    sprite.height = TILE + RISE;
    paint(sprite.getContext("2d")!);
    this.made.set(key, sprite);
    return sprite;
  }
}

function keyOf({ up, down, left, right }: Joins): string {
  return [up, down, left, right].map(Number).join("");
}

function paintWall(context: CanvasRenderingContext2D, joins: Joins, variant: number): void {
  const fill = painter(context);
  const depth = joins.down ? TILE + RISE : TILE - 2;
  fill(TOP[variant]!, 0, 0, TILE, depth);
  for (let speck = 0; speck < 9; speck++) {
    const [x, y] = [Math.floor(chanceAt(speck, variant, 42) * 14) + 1, Math.floor(chanceAt(speck, variant, 43) * 11) + 1];
    fill(speck % 3 ? TOP_EDGE! : TOP_LIT!, x, y, speck % 2 ? 2 : 1, 1);
  }
  if (!joins.up) fill(TOP_LIT!, 0, 0, TILE, 1);
  if (!joins.left) fill(TOP_LIT!, 0, 0, 1, depth);
  if (!joins.right) fill(TOP_EDGE!, TILE - 1, 0, 1, depth);
  if (!joins.down) paintBricks(fill, joins, variant, depth);
}

type Fill = (colour: string, x: number, y: number, width: number, height: number) => void;

function painter(context: CanvasRenderingContext2D): Fill {
  return (colour, x, y, width, height) => {
    context.fillStyle = colour;
    context.fillRect(x, y, width, height);
  };
}

function paintBricks(fill: Fill, joins: Joins, variant: number, top: number): void {
  const bottom = TILE + RISE;
  fill(TOP_EDGE!, 0, top - 1, TILE, 1);
  fill(JOINT!, 0, top, TILE, bottom - top);
  for (let course = 0; course < 2; course++) {
    const y = top + course * 5;
    const shift = (course + variant) % 2 ? 4 : 0;
    for (let x = -shift; x < TILE; x += 8) {
      fill(BRICKS!, Math.max(0, x), y, Math.min(7, x + 7), 4);
      fill(BRICK_LIT!, Math.max(0, x), y, Math.min(7, x + 7), 1);
    }
  }
  fill(FOOT!, 0, bottom - 1, TILE, 1);
  if (!joins.left) fill(FOOT!, 0, top, 1, bottom - top);
  if (!joins.right) fill(FOOT!, TILE - 1, top, 1, bottom - top);
}

function paintDoor(context: CanvasRenderingContext2D, isOpen: boolean): void {
  const fill = painter(context);
  const bottom = TILE + RISE;
  fill(TOP[0]!, 0, 0, TILE, 6);
  fill(TOP_LIT!, 0, 0, TILE, 1);
  fill(TOP_EDGE!, 0, 5, TILE, 1);
  if (!isOpen) {
    fill(OAK!, 1, 6, TILE - 2, bottom - 6);
    for (const x of [1, 5, 9, 13]) fill(OAK_LIT!, x, 6, 1, bottom - 7);
    for (const x of [4, 8, 12]) fill(OAK_DARK!, x, 6, 1, bottom - 7);
    for (const y of [9, 19]) fill(IRON!, 1, y, TILE - 2, 1);
    fill(IRON!, 11, 14, 2, 2);
    fill(FOOT!, 1, bottom - 1, TILE - 2, 1);
  } else {
    fill("#00000059", 2, 6, TILE - 4, 5);
    fill(OAK_DARK!, 1, 6, 2, bottom - 6);
    fill(OAK!, 2, 7, 1, bottom - 8);
  }
  fill(OAK_DARK!, 0, 6, 1, bottom - 6);
  fill(OAK_DARK!, TILE - 1, 6, 1, bottom - 6);
}

function paintSideDoor(context: CanvasRenderingContext2D, isOpen: boolean): void {
  const fill = painter(context);
  const bottom = TILE + RISE;
  if (isOpen) {
    fill(OAK_DARK!, 3, RISE - 2, TILE - 6, 3);
    fill(OAK!, 3, RISE - 2, TILE - 6, 2);
    return;
  }
  fill(OAK!, 4, 0, 8, bottom);
  fill(OAK_LIT!, 4, 0, 1, bottom);
  fill(OAK_DARK!, 7, 0, 1, bottom);
  fill(OAK_DARK!, 11, 0, 1, bottom);
  for (const y of [4, 18]) fill(IRON!, 4, y, 8, 1);
  fill(IRON!, 9, 11, 2, 2);
}
