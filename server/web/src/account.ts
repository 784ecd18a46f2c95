/** Who plays in this tab. The token lives in sessionStorage, so two tabs are two players. */

import { type BootstrapAnswer, type ErrorBody, type GuestAnswer, PROTOCOL_VERSION } from "holdfast-client";

const TOKEN = "holdfast.token";
const NAME = "holdfast.name";

/** The server refused; `code` is the HTTP status, as the SDK's join errors have it. */
export class Refused extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

export function rememberedName(): string {
  return sessionStorage.getItem(NAME) ?? "";
}

/** Whether this tab has signed in before. */
export function isSignedIn(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

export function forget(): void {
  sessionStorage.removeItem(TOKEN);
}

/** Signs in as `name`; throws Refused. */
export async function signIn(name: string): Promise<void> {
  const answer = await post<GuestAnswer>("/api/auth/guest", name === "" ? {} : { name });
  sessionStorage.setItem(TOKEN, answer.accessToken);
  sessionStorage.setItem(NAME, name);
}

/** Checks the token and the protocol, signing in anew with the same name if the token is no longer good. */
export async function bootstrap(): Promise<{ accessToken: string; player: BootstrapAnswer }> {
  try {
    return await ask();
  } catch (problem) {
    if (!(problem instanceof Refused) || problem.code !== 401) throw problem;
    await signIn(rememberedName());
    return ask();
  }
}

async function ask(): Promise<{ accessToken: string; player: BootstrapAnswer }> {
  const accessToken = sessionStorage.getItem(TOKEN);
  if (accessToken === null) throw new Refused(401, "not signed in");
  const body = { protocolVersion: PROTOCOL_VERSION };
  return { accessToken, player: await post<BootstrapAnswer>("/api/session/bootstrap", body, accessToken) };
}

async function post<Answer>(path: string, body: object, token?: string): Promise<Answer> {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (response.ok) return (await response.json()) as Answer;
  const problem = (await response.json().catch(() => ({}))) as Partial<ErrorBody>;
  throw new Refused(response.status, problem.message ?? response.statusText);
}
