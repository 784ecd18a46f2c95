import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { unpack } from "msgpackr";

const golden = JSON.parse(await readFile(new URL("../../contracts/golden.json", import.meta.url), "utf8"));

for (const [name, { message, hex }] of Object.entries({ ...golden.fromServer, ...golden.fromClient })) {
  test(`the SDKs' msgpack reads ${name}`, () => assert.deepEqual(unpack(Buffer.from(hex, "hex")), message));
}
