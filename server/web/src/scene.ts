/** Draws the world around one's own character, many times a second, from what the session last said. */

import { type ChatEvent, type GameState, HP_MAX, type PlayerState } from "holdfast-client";
import { Actors, type Actor } from "./actors.js";
import { Ground, TILE } from "./ground.js";
import { chanceAt } from "./noise.js";
import { Sprites } from "./sprites.js";
import { changedTiles, type Place, tileAt } from "./tiles.js";
import { type Joins, RISE, Walls } from "./walls.js";

/** Tiles that should be seen across the shorter side of the screen. */
const TILES_ACROSS = 13;
const BUBBLE_MS = 5000;
const DEEP = "#1d5c7d";

export class Scene {
  private readonly context: CanvasRenderingContext2D;
  private readonly sprites = new Sprites();
  private readonly walls = new Walls();
  private readonly actors = new Actors();
  private readonly bubbles = new Map<string, { text: string; until: number }>();
  private ground: Ground | undefined;
  private state: GameState | undefined;
  private own = "";
  private focus: Place | undefined;
  private camera = { x: 0, y: 0 };
  private scale = 3;
  private lastFrame = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly isCalm: () => boolean,
  ) {
    this.context = canvas.getContext("2d", { alpha: false })!;
    const draw = (now: number) => {
      this.draw(now);
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  /** The ground with one pixel a tile. */
  get map(): HTMLCanvasElement | undefined {
    return this.ground?.map;
  }

  /** Takes the newest state; `own` is one's own session. */
  show(state: GameState, own: string): void {
    const before = this.state;
    this.state = state;
    this.own = own;
    if (before?.world.tiles !== state.world.tiles) {
      const changed = before && this.ground && changedTiles(before.world, state.world);
      // A door is one tile; a different world is thousands.
      if (changed && changed.length < 64) this.ground!.mend(state.world, changed);
      else this.ground = new Ground(state.world);
    }
    this.actors.follow(state.players, performance.now());
  }

  /** Marks the place that an action would reach. */
  point(at: Place | undefined): void {
    this.focus = at;
  }

  say(line: ChatEvent): void {
    this.bubbles.set(line.sessionId, { text: line.text, until: performance.now() + BUBBLE_MS });
  }

  /** One's own character starts towards something it can't enter. */
  bump(way: readonly [number, number]): void {
    this.actors.bump(this.own, way, performance.now());
  }

  private draw(now: number): void {
    const elapsed = Math.min(100, now - this.lastFrame);
    this.lastFrame = now;
    this.fit();
    this.context.fillStyle = DEEP;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.state || !this.ground) return this.drawSea(now);
    this.actors.advance(elapsed, this.isCalm());
    this.follow();
    this.drawGround();
    this.drawWater(now);
    this.drawFocus(now);
    this.drawStanding(now);
    this.drawLabels(now);
  }

  private fit(): void {
    const ratio = Math.min(3, devicePixelRatio || 1);
    const [width, height] = [Math.round(innerWidth * ratio), Math.round(innerHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.scale = Math.max(2, Math.round(Math.min(width, height) / (TILES_ACROSS * TILE)));
    this.context.imageSmoothingEnabled = false;
  }

  private follow(): void {
    const actor = this.actors.get(this.own);
    if (!actor) return;
    // Whole pixels of the art, so that nothing shivers against the ground.
    this.camera.x = Math.round((actor.x + 0.5) * TILE * this.scale - this.canvas.width / 2);
    this.camera.y = Math.round((actor.y + 0.5) * TILE * this.scale - this.canvas.height / 2);
  }

  private toScreen(x: number, y: number): Place {
    const size = TILE * this.scale;
    return { x: Math.round(x * size) - this.camera.x, y: Math.round(y * size) - this.camera.y };
  }

  private drawGround(): void {
    const { picture } = this.ground!;
    this.context.drawImage(
      picture, -this.camera.x, -this.camera.y, picture.width * this.scale, picture.height * this.scale,
    );
  }

  /** The tiles on the screen, and one more on each side for what is taller than its tile. */
  private *visible(): Generator<Place> {
    const size = TILE * this.scale;
    const [left, top] = [Math.floor(this.camera.x / size) - 1, Math.floor(this.camera.y / size) - 1];
    const [right, bottom] = [left + this.canvas.width / size + 3, top + this.canvas.height / size + 3];
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) yield { x, y };
  }

  private isSeen({ x, y }: Place): boolean {
    const at = this.toScreen(x, y);
    const margin = 2 * TILE * this.scale;
    return at.x > -margin && at.y > -margin && at.x < this.canvas.width + margin && at.y < this.canvas.height + margin;
  }

  private drawWater(now: number): void {
    for (const { x, y } of this.visible()) {
      if (tileAt(this.state!.world, x, y) === "water") this.drawGlints(x, y, now);
    }
  }

  /** Two short lines of light on each tile of water, that come, drift and go. */
  private drawGlints(x: number, y: number, now: number): void {
    const at = this.toScreen(x, y);
    const time = this.isCalm() ? 0 : now / 3400;
    for (let glint = 0; glint < 2; glint++) {
      const phase = (time + chanceAt(x, y, 50 + glint)) % 1;
      const light = Math.sin(phase * Math.PI);
      const cycle = Math.floor(time + chanceAt(x, y, 50 + glint));
      const [px, py] = [chanceAt(x, y, 52 + glint + cycle * 7) * 10 + phase * 3, chanceAt(x, y, 54 + glint + cycle * 5) * 13 + 1];
      this.context.fillStyle = `rgb(190 232 236 / ${(light * 0.4).toFixed(2)})`;
      const width = 2 + Math.round(light * 3);
      this.context.fillRect(at.x + Math.floor(px) * this.scale, at.y + Math.floor(py) * this.scale, width * this.scale, this.scale);
    }
  }

  /** Before there is a world: the sea, which is what lies around it. */
  private drawSea(now: number): void {
    const size = TILE * this.scale;
    this.camera = { x: 0, y: 0 };
    for (let y = 0; y * size < this.canvas.height; y++) {
      for (let x = 0; x * size < this.canvas.width; x++) this.drawGlints(x, y, now);
    }
  }

  private drawFocus(now: number): void {
    if (!this.focus) return;
    const at = this.toScreen(this.focus.x, this.focus.y);
    const [size, unit] = [TILE * this.scale, this.scale];
    const inset = this.isCalm() ? 0 : Math.round((Math.sin(now / 220) + 1) * 0.5) * unit;
    this.context.fillStyle = "#fff3c4";
    for (const [right, down] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
      const x = at.x + (right ? size - inset - 4 * unit : inset);
      const y = at.y + (down ? size - inset - unit : inset);
      this.context.fillRect(x, y, 4 * unit, unit);
      this.context.fillRect(right ? x + 3 * unit : x, down ? y - 3 * unit : y, unit, 4 * unit);
    }
  }

  /** Items, walls, doors and characters, the farther ones first. */
  private drawStanding(now: number): void {
    const standing: { depth: number; draw: () => void }[] = [];
    for (const place of this.visible()) {
      const tile = tileAt(this.state!.world, place.x, place.y);
      if (tile !== "wall" && tile !== "door_closed" && tile !== "door_open") continue;
      const depth = tile === "door_open" ? place.y + 0.3 : place.y + 1;
      standing.push({ depth, draw: () => this.drawWall(place, tile) });
    }
    for (const [id, item] of Object.entries(this.state!.world.items)) {
      if (!this.isSeen(item)) continue;
      standing.push({ depth: item.y + 0.4, draw: () => this.drawItem(id, item.kind, item, now) });
    }
    for (const [id, player] of Object.entries(this.state!.players)) {
      const actor = this.actors.get(id);
      if (actor && this.isSeen(actor)) standing.push({ depth: actor.y + 0.9, draw: () => this.drawCharacter(player, actor, now) });
    }
    standing.sort((one, other) => one.depth - other.depth);
    for (const { draw } of standing) draw();
  }

  private drawWall({ x, y }: Place, tile: string): void {
    const isBuilt = (dx: number, dy: number) => {
      const beside = tileAt(this.state!.world, x + dx, y + dy);
      return beside === "wall" || beside === "door_closed" || beside === "door_open";
    };
    const joins: Joins = { up: isBuilt(0, -1), down: isBuilt(0, 1), left: isBuilt(-1, 0), right: isBuilt(1, 0) };
    const sprite = tile === "wall" ? this.walls.wall(joins, x, y) : this.walls.door(joins, tile === "door_open");
    this.drawSprite(sprite, x, y, 0, -RISE);
  }

  private drawItem(id: string, kind: string, { x, y }: Place, now: number): void {
    const sprite = this.sprites.item(kind);
    const bob = this.isCalm() ? 0 : Math.round(Math.sin(now / 380 + chanceAt(x, y, id.length) * 6) * 0.8 - 0.5);
    this.drawShadow(x, y, 8);
    this.drawSprite(sprite, x, y, Math.floor((TILE - sprite.width) / 2), TILE - 2 - sprite.height + bob);
  }

  private drawCharacter(player: PlayerState, actor: Actor, now: number): void {
    const step = actor.isWalking && !this.isCalm() ? (Math.floor(now / 110) % 2 === 0 ? 1 : 2) : 0;
    const sprite = this.sprites.character(player.playerId, player.facing, step);
    this.drawShadow(actor.x, actor.y, 10);
    this.context.globalAlpha = player.connected ? 1 : 0.45;
    if (now - actor.hurtAt < 260 && Math.floor((now - actor.hurtAt) / 65) % 2 === 0) this.context.filter = "brightness(2.4)";
    this.drawSprite(sprite, actor.x, actor.y, 2, TILE - sprite.height - 1);
    this.context.filter = "none";
    this.context.globalAlpha = 1;
  }

  private drawShadow(x: number, y: number, width: number): void {
    const at = this.toScreen(x, y);
    const left = at.x + ((TILE - width) / 2) * this.scale;
    this.context.fillStyle = "rgb(16 26 30 / .28)";
    this.context.fillRect(left, at.y + 13 * this.scale, width * this.scale, 2 * this.scale);
    this.context.fillRect(left + this.scale, at.y + 12 * this.scale, (width - 2) * this.scale, 4 * this.scale);
  }

  private drawSprite(sprite: HTMLCanvasElement, x: number, y: number, dx: number, dy: number): void {
    const at = this.toScreen(x, y);
    this.context.drawImage(
      sprite, at.x + dx * this.scale, at.y + dy * this.scale, sprite.width * this.scale, sprite.height * this.scale,
    );
  }

  private drawLabels(now: number): void {
    const unit = Math.min(3, devicePixelRatio || 1);
    this.context.textAlign = "center";
    this.context.textBaseline = "middle";
    for (const [id, player] of Object.entries(this.state!.players)) {
      const actor = this.actors.get(id);
      if (!actor || !this.isSeen(actor)) continue;
      const at = this.toScreen(actor.x + 0.5, actor.y);
      this.drawName(player, id === this.own, at.x, at.y - 8 * unit, unit);
      this.drawHurt(actor, at.x, at.y - 22 * unit, now, unit);
      const bubble = this.bubbles.get(id);
      if (bubble && bubble.until > now) this.drawBubble(bubble.text, at.x, at.y - 26 * unit, unit);
      else if (bubble) this.bubbles.delete(id);
    }
  }

  private drawName(player: PlayerState, isOwn: boolean, x: number, y: number, unit: number): void {
    const name = player.connected ? player.name : `${player.name} (away)`;
    this.context.font = `600 ${11 * unit}px ui-rounded, "Nunito", system-ui, sans-serif`;
    const width = this.context.measureText(name).width + 12 * unit;
    this.context.fillStyle = isOwn ? "rgb(10 52 54 / .82)" : "rgb(16 22 30 / .68)";
    this.context.beginPath();
    this.context.roundRect(x - width / 2, y - 9 * unit, width, 17 * unit, 8.5 * unit);
    this.context.fill();
    this.context.fillStyle = isOwn ? "#a9f5d4" : "#ffffff";
    this.context.fillText(name, x, y);
    if (player.hp >= HP_MAX) return;
    const full = 30 * unit;
    this.context.fillStyle = "rgb(16 22 30 / .75)";
    this.context.fillRect(x - full / 2 - unit, y + 9 * unit, full + 2 * unit, 5 * unit);
    this.context.fillStyle = player.hp > HP_MAX * 0.35 ? "#7fd46b" : "#ef5d56";
    this.context.fillRect(x - full / 2, y + 10 * unit, (full * player.hp) / HP_MAX, 3 * unit);
  }

  private drawHurt(actor: Actor, x: number, y: number, now: number, unit: number): void {
    const age = (now - actor.hurtAt) / 900;
    if (age > 1 || actor.hurtBy === 0) return;
    this.context.globalAlpha = 1 - age * age;
    this.context.font = `800 ${15 * unit}px ui-rounded, system-ui, sans-serif`;
    this.context.strokeStyle = "#3a1020";
    this.context.lineWidth = 3 * unit;
    const text = actor.hurtBy > 0 ? `−${actor.hurtBy}` : `+${-actor.hurtBy}`;
    this.context.strokeText(text, x, y - age * 18 * unit);
    this.context.fillStyle = actor.hurtBy > 0 ? "#ff8f7f" : "#9cf0a0";
    this.context.fillText(text, x, y - age * 18 * unit);
    this.context.globalAlpha = 1;
  }

  private drawBubble(text: string, x: number, y: number, unit: number): void {
    this.context.font = `500 ${13 * unit}px ui-rounded, "Nunito", system-ui, sans-serif`;
    const lines = wrapped(text, 220 * unit, (line) => this.context.measureText(line).width);
    const width = Math.max(...lines.map((line) => this.context.measureText(line).width)) + 18 * unit;
    const height = lines.length * 17 * unit + 10 * unit;
    const top = y - height;
    this.context.fillStyle = "rgb(255 252 240 / .96)";
    this.context.beginPath();
    this.context.roundRect(x - width / 2, top, width, height, 9 * unit);
    this.context.moveTo(x - 5 * unit, y - unit);
    this.context.lineTo(x, y + 5 * unit);
    this.context.lineTo(x + 5 * unit, y - unit);
    this.context.fill();
    this.context.fillStyle = "#23303a";
    lines.forEach((line, row) => this.context.fillText(line, x, top + (row * 17 + 13.5) * unit));
  }
}

const BUBBLE_LINES = 4;

function wrapped(text: string, width: number, measure: (line: string) => number): string[] {
  const lines: string[] = [""];
  for (const word of text.split(/\s+/u).flatMap((part) => part.match(/.{1,24}/gu) ?? [])) {
    const line = `${lines.at(-1)} ${word}`.trim();
    if (measure(line) <= width || lines.at(-1) === "") lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines.length > BUBBLE_LINES ? [...lines.slice(0, BUBBLE_LINES - 1), `${lines[BUBBLE_LINES - 1]}…`] : lines;
}
