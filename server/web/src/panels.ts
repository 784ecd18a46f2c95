/** What lies over the world: hearts, what is carried, what was said, the map, the diagnostics. */

import { type ChatEvent, type GameState, HP_MAX, PROTOCOL_VERSION, type PlayerState, type SessionView } from "holdfast-client";
import { colourOf, Sprites } from "./sprites.js";
import type { Reach } from "./tiles.js";

export type View = SessionView<GameState>;

const sprites = new Sprites();
const TOAST_MS = 2600;
const TOASTS_MAX = 3;
const HEARTS = 5;

export function element<Kind extends HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

/** Writes only what is new: a live region would read the same again. */
export function write(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function showSelf(player: PlayerState, place: string): void {
  write(element("place"), place);
  write(element("self-name"), player.name);
  const hearts = element("hearts");
  const label = `Health ${player.hp} of ${HP_MAX}`;
  if (hearts.getAttribute("aria-label") === label) return;
  hearts.setAttribute("aria-label", label);
  const full = (player.hp / HP_MAX) * HEARTS;
  hearts.replaceChildren(
    ...Array.from({ length: HEARTS }, (_, at) => {
      const heart = document.createElement("i");
      heart.textContent = "♥";
      heart.className = full >= at + 1 ? "full" : full > at ? "half" : "empty";
      return heart;
    }),
  );
}

export function showInventory(player: PlayerState, drop: (kind: string) => void): void {
  const list = element("inventory");
  const carried = Object.entries(player.inventory).filter(([, count]) => count > 0);
  const key = JSON.stringify(carried);
  if (list.dataset["key"] === key) return;
  list.dataset["key"] = key;
  list.replaceChildren(...carried.map(([kind, count]) => slot(kind, count, drop)));
  list.hidden = carried.length === 0;
}

function slot(kind: string, count: number, drop: (kind: string) => void): HTMLLIElement {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.title = `Drop ${kind}`;
  button.setAttribute("aria-label", `${count} ${kind}. Drop one.`);
  button.addEventListener("click", () => drop(kind));
  const amount = document.createElement("b");
  amount.textContent = String(count);
  button.append(pictureOf(kind), amount);
  item.append(button);
  return item;
}

function pictureOf(kind: string): HTMLCanvasElement {
  const sprite = sprites.item(kind);
  const picture = document.createElement("canvas");
  picture.width = sprite.width;
  picture.height = sprite.height;
  picture.getContext("2d")!.drawImage(sprite, 0, 0);
  return picture;
}

/** Says on each button what it would do, and which have something to do it to. */
export function showReach(reach: Reach): void {
  const labels: Record<string, string | undefined> = {
    open: reach.open && (reach.open.closes ? "Close door" : "Open door"),
    take: reach.take && `Take ${reach.take.kind}`,
    drop: reach.drop && `Drop ${reach.drop.target}`,
    strike: reach.strike && `Strike ${reach.strike.name}`,
  };
  for (const button of document.querySelectorAll<HTMLElement>("[data-action]")) {
    const action = button.dataset["action"]!;
    const label = labels[action];
    button.classList.toggle("ready", label !== undefined);
    write(button.querySelector("span")!, label ?? action[0]!.toUpperCase() + action.slice(1));
  }
  const possible = [labels["open"], labels["take"], labels["strike"]].filter((label) => label !== undefined);
  write(element("narration"), possible.length > 0 ? `You can: ${possible.join(", ")}.` : "");
}

export class ChatLog {
  private shown: ChatEvent | undefined;

  /** Adds the lines that are new; returns them. */
  show(lines: readonly ChatEvent[], playerOf: (sessionId: string) => PlayerState | undefined): readonly ChatEvent[] {
    const from = this.shown ? lines.indexOf(this.shown) + 1 : 0;
    const added = lines.slice(from);
    if (added.length === 0) return added;
    this.shown = added.at(-1);
    const log = element("chat-log");
    const wasAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    for (const line of added) log.append(chatLine(line, playerOf(line.sessionId)));
    while (log.childElementCount > lines.length) log.firstElementChild!.remove();
    if (wasAtEnd) log.scrollTop = log.scrollHeight;
    return added;
  }

  clear(): void {
    this.shown = undefined;
    element("chat-log").replaceChildren();
  }
}

function chatLine(line: ChatEvent, player: PlayerState | undefined): HTMLLIElement {
  const item = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = line.name;
  name.style.setProperty("--own-colour", player ? colourOf(player.playerId) : "#9fb4bb");
  item.append(name, ` ${line.text}`);
  item.title = new Date(line.at).toLocaleTimeString();
  return item;
}

export function showMap(state: GameState, own: string, ground: HTMLCanvasElement | undefined): void {
  const map = element<HTMLCanvasElement>("map");
  const context = map.getContext("2d")!;
  if (map.width !== state.world.width) map.width = state.world.width;
  if (map.height !== state.world.height) map.height = state.world.height;
  if (ground) context.drawImage(ground, 0, 0);
  for (const [id, player] of Object.entries(state.players)) {
    const size = id === own ? 4 : 3;
    context.fillStyle = "#10222b";
    context.fillRect(player.x - size / 2 - 0.5, player.y - size / 2 - 0.5, size + 1, size + 1);
    context.fillStyle = id === own ? "#fff3c4" : colourOf(player.playerId);
    context.fillRect(player.x - size / 2, player.y - size / 2, size, size);
  }
  const here = Object.values(state.players).filter(({ connected }) => connected).length;
  write(element("players"), here === 1 ? "Only you are here" : `${here} players here`);
}

export function showDiagnostics(view: View, reconnects: number): void {
  document.body.dataset["status"] = view.status;
  fact("status", view.status);
  fact("ack", view.ackMs === undefined ? "–" : `${view.ackMs.toFixed(view.ackMs < 10 ? 1 : 0)} ms`);
  fact("seq", view.room.state ? `${view.room.roomSeq} · epoch ${view.room.epoch}` : "–");
  fact("waiting", String(view.pending));
  fact("attempts", view.attempt > 0 ? `${reconnects} · attempt ${view.attempt}` : String(reconnects));
  const lacking = view.degraded.map(({ dependency, status }) => `${dependency} ${status}`).join(", ");
  fact("degraded", lacking || "ok");
  document.body.classList.toggle("degraded", lacking !== "");
  fact("protocol", view.identity?.protocolVersion ?? PROTOCOL_VERSION);
}

function fact(name: string, text: string): void {
  write(document.querySelector<HTMLElement>(`[data-fact="${name}"] b`)!, text);
}

export function toast(text: string, tone: "refusal" | "news" = "refusal"): void {
  const list = element("toasts");
  if (list.lastElementChild?.textContent === text) list.lastElementChild.remove();
  const item = document.createElement("li");
  item.textContent = text;
  item.className = tone;
  list.append(item);
  while (list.childElementCount > TOASTS_MAX) list.firstElementChild!.remove();
  setTimeout(() => item.remove(), TOAST_MS);
}

/** The one line on top: what is wrong with the connection or the server, if anything is. */
export function showBanner(view: View): void {
  const banner = element("banner");
  const text = bannerOf(view);
  banner.hidden = text === "";
  banner.dataset["tone"] = view.status === "live" ? "warning" : "waiting";
  write(banner, text);
}

function bannerOf({ status, attempt, degraded, ending }: View): string {
  if (status === "dropped") return `Connection lost. Reconnecting… (attempt ${attempt})`;
  if (status === "resuming") return "Connected again. Catching up…";
  if (status === "terminating") return `The server is ending this session: ${ending?.reason ?? ""}`;
  const lacking = degraded[0];
  if (!lacking || status === "ended") return "";
  return lacking.dependency === "postgres"
    ? "The server can't keep anything at the moment. What you do waits until it can."
    : "Part of the server is unwell. Play goes on; joining may not.";
}
