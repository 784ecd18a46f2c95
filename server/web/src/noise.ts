/** Chance that is the same for everyone: all players see the same tufts of grass and the same cracks in the stones. */

/** A number from 0 up to 1 for a place. */
export function chanceAt(x: number, y: number, salt = 0): number {
  let mixed = Math.imul(x + 0x9e37, 0x85ebca6b) ^ Math.imul(y + 0x79b9, 0xc2b2ae35) ^ Math.imul(salt + 1, 0x27d4eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
}

/** A number from 0 up to 1 for a text, such as a player's id. */
export function chanceOf(text: string, salt = 0): number {
  let mixed = salt + 7;
  for (const character of text) mixed = Math.imul(mixed ^ character.codePointAt(0)!, 0x01000193);
  return chanceAt(mixed & 0xffff, mixed >>> 16, salt);
}

const SIDE = 256;

/** Smooth noise from 0 to 1 that repeats every 256 pixels: a table, for it is asked millions of times. */
export class SmoothNoise {
  private readonly table = new Float32Array(SIDE * SIDE);

  constructor(salt: number, cells: readonly number[]) {
    const weights = cells.map((_, octave) => 0.5 ** octave);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const parts = cells.map((count, octave) => lattice(x, y, count, salt + octave) * weights[octave]!);
        this.table[y * SIDE + x] = parts.reduce((sum, part) => sum + part, 0) / total;
      }
    }
  }

  at(x: number, y: number): number {
    return this.table[(y & (SIDE - 1)) * SIDE + (x & (SIDE - 1))]!;
  }
}

function lattice(x: number, y: number, cells: number, salt: number): number {
  const [column, row] = [(x * cells) / SIDE, (y * cells) / SIDE];
  const [left, top] = [Math.floor(column), Math.floor(row)];
  const [across, down] = [ease(column - left), ease(row - top)];
  const corner = (dx: number, dy: number) => chanceAt((left + dx) % cells, (top + dy) % cells, salt);
  const upper = corner(0, 0) * (1 - across) + corner(1, 0) * across;
  const lower = corner(0, 1) * (1 - across) + corner(1, 1) * across;
  return upper * (1 - down) + lower * down;
}

function ease(part: number): number {
  return part * part * (3 - 2 * part);
}
