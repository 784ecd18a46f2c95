import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOSE_CODES, endingOf, failedJoin } from "holdfast-client";

const { MAY_RECONNECT, ERROR, ...FINAL } = CLOSE_CODES;

for (const [name, code] of Object.entries(FINAL)) {
  test(`close ${code} (${name}) has words and a remedy of its own`, () => {
    const { title, advice } = endingOf(code);
    assert.notEqual(title, endingOf(ERROR).title);
    assert.ok(advice.endsWith("."));
  });
}

test("a version mismatch is cured by reloading, at the join as well as later", () => {
  assert.equal(endingOf(4500).remedy, "reload");
  assert.equal(failedJoin({ code: 409, message: "" }).remedy, "reload");
});

test("an invalid token is cured by signing in", () => {
  assert.equal(failedJoin({ code: 525, message: "" }).remedy, "signIn");
});

test("a server that can't be reached at all may be tried again", () => {
  const { code, remedy, reason } = failedJoin(new TypeError("fetch failed"));
  assert.deepEqual([code, remedy, reason], [0, "rejoin", "fetch failed"]);
});
