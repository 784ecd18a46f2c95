/**
 * The crowd: all clients of a run, and its phases.
 *
 *     join --> play: warm-up, measured time --> settle --> check --> leave
 *
 * The load is open: each intent is due at a time fixed beforehand, whether or not those before it were answered, so a
 * server that stalls is charged for all who wait (no coordinated omission).
 */
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "@colyseus/sdk";

import { ColyseusPlayer } from "./colyseus.mjs";
import { COURSES, randomOf } from "./courses.mjs";
import { HoldfastPlayer } from "./holdfast.mjs";
import { Scene } from "./scene.mjs";

/** Clients that join at the same time. */
const JOINS_AT_ONCE = 8;
/** How long after the last intent its answer may take before the run counts as failed. */
const SETTLE_MS = 15_000;
/** With all answered, how long until nothing more can be on its way: two rounds of patches. */
const QUIET_MS = 150;
const DIALECTS = { holdfast: HoldfastPlayer, colyseus: ColyseusPlayer };

export class Crowd {
  #players = [];
  #next = 0;

  constructor(plan, records) {
    this.plan = plan;
    this.records = records;
  }

  /** Everybody is in, in an order that has nothing to do with their rooms. Throws if a room can't be had. */
  async join() {
    const { clients, rooms, seed, target, room, url } = this.plan;
    const random = randomOf(seed);
    const sdk = new Client(url);
    const scenes = Array.from({ length: rooms }, () => new Scene(this.records));
    const made = Array.from({ length: clients }, (_, number) => {
      const course = new COURSES[room](randomOf(`${seed} ${number}`));
      return new DIALECTS[target](scenes[number % rooms], course, this.records);
    });
    for (const player of made.slice(0, rooms)) await player.join(sdk, room, seed);
    const waiting = made.slice(rooms);
    const joinAll = async () => {
      for (let player = waiting.shift(); player; player = waiting.shift()) await this.#joinOne(player, sdk);
    };
    await Promise.all(Array.from({ length: JOINS_AT_ONCE }, joinAll));
    for (const scene of scenes) scene.players = scene.players.filter((player) => !player.hasEnded);
    this.#players = shuffled(made.filter((player) => !player.hasEnded), random);
    return this.#players.length;
  }

  /** Asks for what is due until `until`, as turns that began at `begin`: each client once a turn, at its own phase. */
  async play(begin, until) {
    const players = this.#players;
    const betweenMs = 1000 / this.plan.rateHz / players.length;
    const dueOf = (number) => begin + (number + 0.5) * betweenMs;
    while (dueOf(this.#next) < until) {
      // One look at the clock for all that is due by it: however late, what has come is heard before more goes out.
      const now = performance.now();
      for (; dueOf(this.#next) <= now && dueOf(this.#next) < until; this.#next += 1) {
        players[this.#next % players.length].ask(dueOf(this.#next));
      }
      await sleep(Math.max(1, Math.min(dueOf(this.#next), until) - now));
    }
  }

  /** Waits until everybody has every answer and has seen all that was acked; says who has not, after some time. */
  async settle() {
    const deadline = performance.now() + SETTLE_MS;
    const isSettled = () => this.#players.every((player) => player.isSettled);
    while (!isSettled() && performance.now() < deadline) await sleep(10);
    for (const player of this.#players.filter((each) => !each.isSettled)) {
      player.wrong(`${player.open.size} intents without an answer, or not all was shown, after ${SETTLE_MS / 1000} s`);
    }
    await sleep(QUIET_MS);
    return this.#players.reduce((sum, player) => sum + player.openSince(this.records.from), 0);
  }

  async check() {
    await Promise.all(this.#players.map((player) => player.check()));
  }

  async leave() {
    await Promise.all(this.#players.map((player) => player.leave()));
  }

  async #joinOne(player, sdk) {
    try {
      await player.join(sdk, this.plan.room, this.plan.seed);
    } catch (error) {
      player.hasEnded = true;
      this.records.error(`join ${error.code ?? error.name}`);
      this.records.problem(`a client could not join: ${error.message}`);
    }
  }
}

function shuffled(list, random) {
  const ranked = list.map((each) => [random(), each]);
  return ranked.sort(([one], [other]) => one - other).map(([, each]) => each);
}
