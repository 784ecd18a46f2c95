import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { applyPatch, uncovered } from "holdfast-client";

const vectors = JSON.parse(await readFile(new URL("../../contracts/merge_vectors.json", import.meta.url), "utf8"));

function frozen(value) {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

for (const { about, target, patch, result } of vectors) {
  test(`patch: ${about}`, () => assert.deepEqual(applyPatch(frozen(target), frozen(patch)), result));
}

test("a patch that changes nothing gives the same tree", () => {
  const target = frozen({ a: { b: 1, c: [1] }, d: "x" });
  assert.equal(applyPatch(target, { a: { b: 1 }, e: null, d: "x" }), target);
});

test("branches that a patch does not touch are shared", () => {
  const before = frozen({ players: { ada: { x: 1 }, bob: { x: 2 } }, world: { items: {} } });
  const after = applyPatch(before, { players: { ada: { x: 3 } } });
  assert.equal(after.world, before.world);
  assert.equal(after.players.bob, before.players.bob);
  assert.deepEqual(after.players.ada, { x: 3 });
});

test("a member named __proto__ is a member and nothing else", () => {
  const patched = applyPatch({}, JSON.parse('{"__proto__": {"polluted": true}}'));
  assert.equal(Object.getPrototypeOf(patched), Object.prototype);
  assert.equal(patched.polluted, undefined);
});

test("an overlay loses what lies under a removed member, and only that", () => {
  const overlay = frozen({ players: { ada: { typing: true }, bob: { typing: true } }, last: "ada" });
  const left = uncovered(overlay, { players: { ada: null, bob: { x: 1 } }, total: 3 });
  assert.deepEqual(left, { players: { bob: { typing: true } }, last: "ada" });
});
