/** The card before the world: a name at first, and later why a session ended and what to do. */

import { type Ending, NAME_CHARS_MAX, type Remedy } from "holdfast-client";
import { rememberedName } from "./account.js";
import { element } from "./panels.js";

export interface Choices {
  /** Enter under this name. */
  enter(name: string): void;
  /** Enter again as who one was. */
  rejoin(): void;
  /** Be someone else. */
  rename(): void;
}

const WORDS: Readonly<Record<Remedy, string>> = {
  reload: "Reload the page",
  rejoin: "Join again",
  signIn: "Sign in",
  none: "",
};

const NAMES = [
  ["Quiet", "Brave", "Salty", "Merry", "Amber", "Swift", "Mossy", "Lucky"],
  ["Otter", "Heron", "Crab", "Wren", "Seal", "Puffin", "Limpet", "Tern"],
] as const;

export class Gate {
  private remedy: Remedy | "enter" = "enter";

  constructor(private readonly choices: Choices) {
    const name = element<HTMLInputElement>("name");
    name.maxLength = NAME_CHARS_MAX;
    name.placeholder = NAMES.map((words) => words[Math.floor(Math.random() * words.length)]).join(" ");
    element("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.go(name.value.trim() || name.placeholder);
    });
    element("gate-rename").addEventListener("click", () => choices.rename());
  }

  askName(problem = ""): void {
    this.open("enter", "Holdfast", "A small world shared by everyone here. Nothing that happens in it is ever lost.");
    this.complain(problem);
    const name = element<HTMLInputElement>("name");
    name.value = rememberedName();
    name.focus();
  }

  explain({ title, advice, remedy, reason, code }: Ending): void {
    this.open(remedy, title, advice);
    element("gate-advice").title = `${code} ${reason}`;
    (remedy === "none" ? element("gate-rename") : element("gate-go")).focus();
  }

  /** Something is under way: nothing can be chosen. */
  wait(): void {
    element<HTMLButtonElement>("gate-go").disabled = true;
    this.complain("");
  }

  close(): void {
    element("gate").hidden = true;
  }

  get isOpen(): boolean {
    return !element("gate").hidden;
  }

  private open(remedy: Remedy | "enter", title: string, advice: string): void {
    this.remedy = remedy;
    const isFirst = remedy === "enter";
    const go = element<HTMLButtonElement>("gate-go");
    element("gate").hidden = false;
    element("gate-title").textContent = title;
    element("gate-advice").textContent = advice;
    element("gate-name").hidden = !isFirst;
    element("gate-rename").hidden = isFirst || remedy === "reload";
    go.disabled = false;
    go.hidden = remedy === "none";
    go.textContent = isFirst ? "Enter the world" : WORDS[remedy as Remedy];
    this.complain("");
  }

  private complain(problem: string): void {
    element("gate-problem").hidden = problem === "";
    element("gate-problem").textContent = problem;
  }

  private go(name: string): void {
    if (this.remedy === "reload") location.reload();
    else if (this.remedy === "signIn") this.choices.rename();
    else if (this.remedy === "rejoin") this.choices.rejoin();
    else this.choices.enter(name);
  }
}
