/** Keys, the pad and the buttons, turned into what the player wants. */

import { WAYS, type Way } from "./tiles.js";
import type { Walking } from "./walking.js";

export const ACTIONS = ["open", "take", "drop", "strike"] as const;
export type ActionName = (typeof ACTIONS)[number];

const WALK_KEYS: Readonly<Record<string, Way>> = {
  ArrowUp: WAYS["up"]!, KeyW: WAYS["up"]!,
  ArrowDown: WAYS["down"]!, KeyS: WAYS["down"]!,
  ArrowLeft: WAYS["left"]!, KeyA: WAYS["left"]!,
  ArrowRight: WAYS["right"]!, KeyD: WAYS["right"]!,
};
const ACTION_KEYS: Readonly<Record<string, ActionName>> = {
  KeyE: "open", KeyT: "take", Space: "take", KeyG: "drop", KeyF: "strike",
};

export interface Wishes {
  readonly walking: Walking;
  act(action: ActionName): void;
  /** Wants to write. */
  chat(): void;
  /** Whether the world takes keys now: not behind the gate. */
  isPlaying(): boolean;
}

export function listen(wishes: Wishes): void {
  listenToKeys(wishes);
  listenToPad(document.getElementById("pad")!, wishes);
  for (const button of document.querySelectorAll<HTMLElement>("[data-action]")) {
    button.addEventListener("click", () => wishes.act(button.dataset["action"] as ActionName));
  }
  document.getElementById("chat-open")!.addEventListener("click", () => wishes.chat());
}

function listenToKeys(wishes: Wishes): void {
  addEventListener("keydown", (event) => {
    if (!wishes.isPlaying() || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    const way = WALK_KEYS[event.code];
    const action = ACTION_KEYS[event.code];
    const isOnButton = event.target instanceof HTMLButtonElement;
    // A focused button keeps the keys that press it.
    if (isOnButton && (event.code === "Space" || event.code === "Enter")) return;
    if (way && !event.repeat) wishes.walking.press(way);
    else if (action && !event.repeat) wishes.act(action);
    else if (event.code === "Enter") wishes.chat();
    else if (!way) return;
    event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    const way = WALK_KEYS[event.code];
    if (way) wishes.walking.release(way);
  });
  // Keys that come up in another window are never heard.
  addEventListener("blur", () => wishes.walking.stop());
  document.addEventListener("focusin", (event) => {
    if (isWriting(event.target)) wishes.walking.stop();
  });
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement;
}

/** A finger anywhere on the pad walks away from its middle, diagonally too. */
function listenToPad(pad: HTMLElement, { walking }: Wishes): void {
  let held: Way = [0, 0];
  const point = ([dx, dy]: Way) => {
    if (held[0] === dx && held[1] === dy) return;
    walking.stop();
    held = [dx, dy];
    if (dx !== 0) walking.press([dx, 0]);
    if (dy !== 0) walking.press([0, dy]);
    pad.dataset["way"] = `${dx},${dy}`;
  };
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    point(wayOf(pad, event));
    event.preventDefault();
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) point(wayOf(pad, event));
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => point([0, 0]));
  pad.addEventListener("contextmenu", (event) => event.preventDefault());
  pad.addEventListener("click", (event) => {
    // Pressed without a pointer: one step.
    const way = (event.target as HTMLElement).dataset["way"];
    if (event.detail !== 0 || way === undefined) return;
    const [dx, dy] = way.split(",").map(Number) as [number, number];
    walking.press([dx, dy]);
    walking.release([dx, dy]);
  });
}

function wayOf(pad: HTMLElement, event: PointerEvent): Way {
  const box = pad.getBoundingClientRect();
  const [dx, dy] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  if (Math.hypot(dx, dy) < box.width * 0.08) return [0, 0];
  // Eighths of a turn; tan(22.5 degrees) parts the straight from the diagonal.
  const [isAcross, isAlong] = [Math.abs(dx) > Math.abs(dy) * 0.414, Math.abs(dy) > Math.abs(dx) * 0.414];
  return [isAcross ? Math.sign(dx) : 0, isAlong ? Math.sign(dy) : 0];
}
