/** Steps while a key or the pad is held, at a pace that the server's rate allows. */

import type { GameState, Outcome } from "holdfast-client";
import { isOpen, type Place, type TileName, tileAt, type Way } from "./tiles.js";

const STEP_MS = 125;
/** Steps on their way to the server at once: more would only make turning slow. */
const AHEAD_MAX = 3;

export interface Legs {
  /** Asks the server for a step. */
  step(way: Way): Promise<Outcome>;
  /** Something is in the way. */
  blocked(way: Way, by: TileName): void;
}

interface Asked {
  readonly way: Way;
  /** Known once acked; until the state is there, the step still has to be added to it. */
  roomSeq: number;
}

export class Walking {
  private readonly held: Way[] = [];
  private asked: Asked[] = [];
  private timer: ReturnType<typeof setInterval> | undefined;
  private state: GameState | undefined;
  private own = "";
  private knockedAt = "";

  constructor(private readonly legs: Legs) {}

  /** Takes the newest state, at `roomSeq`. */
  know(state: GameState, own: string, roomSeq: number): void {
    this.state = state;
    this.own = own;
    this.asked = this.asked.filter((asked) => asked.roomSeq > roomSeq);
  }

  press(way: Way): void {
    this.release(way);
    this.held.push(way);
    this.knockedAt = "";
    this.take();
    this.timer ??= setInterval(() => this.take(), STEP_MS);
  }

  release(way: Way): void {
    const at = this.held.findIndex(([dx, dy]) => dx === way[0] && dy === way[1]);
    if (at >= 0) this.held.splice(at, 1);
    if (this.held.length === 0) this.stop();
  }

  stop(): void {
    this.held.length = 0;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** The newest held ways, one across and one along: two keys make a diagonal. */
  private way(): Way {
    const across = this.held.findLast(([dx]) => dx !== 0)?.[0] ?? 0;
    const along = this.held.findLast(([, dy]) => dy !== 0)?.[1] ?? 0;
    return [across, along];
  }

  /** Where the player will be once all that was asked for is done. */
  private place(): Place | undefined {
    const own = this.state?.players[this.own];
    if (!own) return undefined;
    return this.asked.reduce<Place>(({ x, y }, { way }) => ({ x: x + way[0], y: y + way[1] }), own);
  }

  private take(): void {
    const from = this.place();
    const [dx, dy] = this.way();
    if (!from || (dx === 0 && dy === 0) || this.asked.length >= AHEAD_MAX) return;
    const ways: Way[] = dx !== 0 && dy !== 0 ? [[dx, dy], [dx, 0], [0, dy]] : [[dx, dy]];
    const way = ways.find((each) => isOpen(this.tileFrom(from, each)));
    if (way) this.walk(way);
    else this.knock(from, [dx, dy]);
  }

  private tileFrom({ x, y }: Place, [dx, dy]: Way): TileName {
    return tileAt(this.state!.world, x + dx, y + dy);
  }

  private walk(way: Way): void {
    const asked: Asked = { way, roomSeq: Number.POSITIVE_INFINITY };
    this.asked.push(asked);
    void this.legs.step(way).then((outcome) => {
      if ("roomSeq" in outcome) asked.roomSeq = outcome.roomSeq;
      else this.asked = this.asked.filter((other) => other !== asked);
    });
  }

  /** Once for each press at each place: who leans against a wall need not be told again. */
  private knock(from: Place, way: Way): void {
    const at = `${from.x},${from.y},${way}`;
    if (this.knockedAt === at) return;
    this.knockedAt = at;
    this.legs.blocked(way, this.tileFrom(from, way));
  }
}
