/**
 * Which steps a vector of client frames becomes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { framingCases } from "./framing.mjs";

const only = (vector) => framingCases([{ name: "a name, with: signs", bytes: "00", items: [], ...vector }])[0];

test("a violation must be closed with its code", () => {
  const found = only({ close_code: 1002 });
  assert.equal(found.name, "a_name_with_signs");
  assert.deepEqual(found.steps.at(-1), { closed: "w", code: 1002, after_frames: true });
});

test("a close is answered, without a code where it had none", () => {
  assert.equal(only({ items: [{ close: 1001, reason: "" }] }).steps.at(-1).code, 1001);
  assert.equal(only({ items: [{ close: null, reason: "" }] }).steps.at(-1).code, 1005);
});

test("pings are answered and everything else leaves the connection open", () => {
  const found = only({ items: [{ ping: "3f" }, { text: "x" }] });
  assert.deepEqual(found.steps.slice(2), [
    { pongs: "w", expect: ["3f"] },
    { send: "w", bytes: "89810000000021" },
    { pongs: "w", expect: ["21"] },
  ]);
});

test("vectors about sizes are left out", () => {
  assert.deepEqual(framingCases([{ name: "x", bytes: "", items: [], close_code: 1009 }]), []);
});
