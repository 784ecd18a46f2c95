/** The page: signs in, joins the game, shows what the session says and sends what the player wants. */

import { Client } from "@colyseus/sdk";
import { CHAT_CHARS_MAX, failedJoin, type GameState, JOIN_OPTIONS, type Outcome, Session } from "holdfast-client";
import { bootstrap, forget, isSignedIn, Refused, signIn } from "./account.js";
import { type ActionName, listen } from "./controls.js";
import { Gate } from "./gate.js";
import * as panels from "./panels.js";
import { Scene } from "./scene.js";
import { type Reach, reachOf, type TileName, type Way } from "./tiles.js";
import { Walking } from "./walking.js";

declare global {
  interface Window {
    /** For tests and the curious: the session of this page, once there is one. */
    holdfast: { readonly session: Session<GameState> | undefined };
  }
}

const { element } = panels;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class Page {
  private session: Session<GameState> | undefined;
  private forgetSession = () => {};
  private reach: Reach = {};
  private reconnects = 0;
  private lastStatus = "connecting";
  private isDue = false;
  private readonly scene = new Scene(element<HTMLCanvasElement>("world"), () => calm.matches);
  private readonly chat = new panels.ChatLog();
  private readonly gate = new Gate({
    enter: (name) => void this.enter(() => signIn(name)),
    rejoin: () => void this.enter(),
    rename: () => {
      forget();
      this.gate.askName();
    },
  });
  private readonly walking = new Walking({
    step: ([dx, dy]) => this.refusable(this.session!.send("intent.move", { dx: dx as -1, dy: dy as -1 })),
    blocked: (way, by) => this.blocked(way, by),
  });

  start(): void {
    const page = this;
    window.holdfast = {
      get session() {
        return page.session;
      },
    };
    listen({
      walking: this.walking,
      act: (action) => this.act(action),
      chat: () => this.write(),
      isPlaying: () => this.isPlaying,
    });
    this.listenToChat();
    element("leave").addEventListener("click", () => this.session?.leave());
    if (isSignedIn()) void this.enter();
    else this.gate.askName();
  }

  private get isPlaying(): boolean {
    return !this.gate.isOpen && this.session !== undefined && this.session.getSnapshot().status !== "ended";
  }

  /** Signs in if need be, and joins. */
  private async enter(before: () => Promise<void> = async () => {}): Promise<void> {
    this.gate.wait();
    try {
      await before();
      const { accessToken } = await bootstrap();
      this.join(accessToken);
    } catch (problem) {
      if (problem instanceof Refused && problem.code === 400) this.gate.askName(problem.message);
      else this.gate.explain(failedJoin(problem));
    }
  }

  private join(accessToken: string): void {
    this.forgetSession();
    this.chat.clear();
    this.reconnects = 0;
    const client = new Client(location.origin);
    const session = Session.join<GameState>(() => client.joinOrCreate("game", { ...JOIN_OPTIONS, accessToken }));
    this.session = session;
    this.forgetSession = session.subscribe(() => this.due());
    this.due();
  }

  /** Shows the newest view with the next frame, however many changes come before it. */
  private due(): void {
    if (this.isDue) return;
    this.isDue = true;
    // Hidden tabs have no frames, but their titles and tests still look.
    const soon = document.hidden ? (run: () => void) => setTimeout(run, 100) : requestAnimationFrame;
    soon(() => {
      this.isDue = false;
      this.show(this.session!.getSnapshot());
    });
  }

  private show(view: panels.View): void {
    if (view.status === "live" && this.lastStatus === "resuming") {
      this.reconnects += 1;
      panels.toast("You are back. Nothing was lost.", "news");
    }
    this.lastStatus = view.status;
    panels.showDiagnostics(view, this.reconnects);
    panels.showBanner(view);
    if (view.status === "ended") return this.ended(view);
    const { state, roomSeq } = view.room;
    const own = view.identity?.sessionId;
    if (state && own !== undefined) this.showWorld(state, own, roomSeq, view);
  }

  private showWorld(state: GameState, own: string, roomSeq: number, view: panels.View): void {
    const player = state.players[own];
    this.scene.show(state, own);
    this.walking.know(state, own, roomSeq);
    for (const line of this.chat.show(view.room.chat, (id) => state.players[id])) this.scene.say(line);
    this.reach = reachOf(state, own);
    this.scene.point((this.reach.strike ?? this.reach.take ?? this.reach.open)?.at);
    panels.showReach(this.reach);
    panels.showMap(state, own, this.scene.map);
    if (player) {
      panels.showSelf(player, state.world.name);
      panels.showInventory(player, (kind) => this.send("drop", kind));
    }
    if (element("hud").hidden) {
      element("hud").hidden = false;
      element("world").focus();
    }
    this.gate.close();
  }

  private ended(view: panels.View): void {
    this.walking.stop();
    element("hud").hidden = true;
    if (!this.gate.isOpen || view.room.state === undefined) this.gate.explain(view.ending!);
  }

  private act(action: ActionName): void {
    this.send(action, this.reach[action]?.target);
  }

  /** Without a target the server looks at the tile faced, and says what it finds there. */
  private send(action: ActionName, target: string | undefined): void {
    if (!this.isPlaying) return;
    void this.refusable(this.session!.send("intent.action", { action, ...(target !== undefined && { target }) }));
  }

  private blocked(way: Way, by: TileName): void {
    this.scene.bump(way);
    // The server has words for a door; a wall needs none.
    if (by === "door_closed") void this.refusable(this.session!.send("intent.move", { dx: way[0] as -1, dy: way[1] as -1 }));
  }

  private async refusable(sent: Promise<Outcome>): Promise<Outcome> {
    const outcome = await sent;
    if (outcome.status === "rejected") panels.toast(outcome.message);
    return outcome;
  }

  private write(): void {
    document.body.classList.add("writing");
    element("chat-text").focus();
  }

  private listenToChat(): void {
    const text = element<HTMLInputElement>("chat-text");
    text.maxLength = CHAT_CHARS_MAX;
    element("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const said = text.value.trim();
      if (said !== "" && this.isPlaying) void this.refusable(this.session!.send("intent.chat", { text: said }));
      text.value = "";
      text.blur();
    });
    // A tap on the button must not take the focus first: on a phone the form would be gone before the tap lands.
    element("chat-form").addEventListener("mousedown", (event) => {
      if (event.target !== text) event.preventDefault();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") text.blur();
    });
    text.addEventListener("blur", () => {
      document.body.classList.remove("writing");
      element("world").focus({ preventScroll: true });
    });
  }
}

new Page().start();
