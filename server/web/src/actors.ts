/** Where characters are seen: between the tile they were on and the one they are on. */

import type { PlayerState } from "holdfast-client";

/** Tiles a second at which a character is seen walking. */
const PACE = 8.6;
/** Tiles that nobody walks at once: who is that far off has woken elsewhere. */
const LEAP = 4;
const BUMP_MS = 140;

export interface Actor {
  x: number;
  y: number;
  isWalking: boolean;
  /** When it last lost or won health, and how much it lost. */
  hurtAt: number;
  hurtBy: number;
}

interface Followed extends Actor {
  toX: number;
  toY: number;
  hp: number;
  bumpedAt: number;
  bumpWay: readonly [number, number];
  atX: number;
  atY: number;
}

export class Actors {
  private readonly followed = new Map<string, Followed>();

  get(sessionId: string): Actor | undefined {
    return this.followed.get(sessionId);
  }

  /** Takes where everyone is now. */
  follow(players: Readonly<Record<string, PlayerState>>, now: number): void {
    for (const id of [...this.followed.keys()]) if (!(id in players)) this.followed.delete(id);
    for (const [id, player] of Object.entries(players)) {
      const known = this.followed.get(id);
      if (!known) {
        this.followed.set(id, arrived(player));
        continue;
      }
      if (player.hp !== known.hp) Object.assign(known, { hurtAt: now, hurtBy: known.hp - player.hp, hp: player.hp });
      known.toX = player.x;
      known.toY = player.y;
    }
  }

  bump(sessionId: string, way: readonly [number, number], now: number): void {
    const known = this.followed.get(sessionId);
    if (known) Object.assign(known, { bumpedAt: now, bumpWay: way });
  }

  advance(elapsedMs: number, isCalm: boolean): void {
    const now = performance.now();
    for (const actor of this.followed.values()) {
      const [dx, dy] = [actor.toX - actor.atX, actor.toY - actor.atY];
      // Diagonal steps take as long as straight ones; who lags behind a whole tile hurries.
      const far = Math.max(Math.abs(dx), Math.abs(dy));
      const reach = ((PACE * elapsedMs) / 1000) * Math.max(1, far);
      const part = far === 0 || isCalm || far > LEAP ? 1 : Math.min(1, reach / far);
      actor.atX += dx * part;
      actor.atY += dy * part;
      actor.isWalking = far > 0.02;
      const push = isCalm ? 0 : Math.max(0, 1 - (now - actor.bumpedAt) / BUMP_MS);
      actor.x = actor.atX + actor.bumpWay[0] * Math.sin(push * Math.PI) * 0.18;
      actor.y = actor.atY + actor.bumpWay[1] * Math.sin(push * Math.PI) * 0.18;
    }
  }
}

function arrived({ x, y, hp }: PlayerState): Followed {
  return {
    x, y, atX: x, atY: y, toX: x, toY: y, hp,
    isWalking: false, hurtAt: Number.NEGATIVE_INFINITY, hurtBy: 0,
    bumpedAt: Number.NEGATIVE_INFINITY, bumpWay: [0, 0],
  };
}
