/**
 * What an expectation accepts, and what it does not.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, matchJson, matchText } from "./template.mjs";

const names = (entries = {}) => new Map(Object.entries(entries));

test("holes catch values and hold them to it", () => {
  const known = names({ epoch: "1f0c93ab" });
  matchJson({ offsets: ["<offset:o>"], cursor: "<=epoch>-<=o>" }, { offsets: [17], cursor: "1f0c93ab-17" }, known);
  assert.equal(known.get("o"), 17);
  matchJson({ offset: "<=o>" }, { offset: 17 }, known);
  assert.throws(() => matchJson({ offset: "<=o>" }, { offset: 18 }, known), /\$\.offset: expected "<=o>", got "18"/);
  assert.throws(() => matchJson({ offset: "<offset:o>" }, { offset: 18 }, known), /\$\.offset/);
});

test("a number's hole wants a number", () => {
  assert.throws(() => matchJson("<offset>", "17", names()), /expected "<offset>", got "17"/);
  assert.throws(() => matchJson("<cursor>", 17, names()), /\$/);
  assert.throws(() => matchJson("17", 17, names()), /\$/);
});

test("an object has no member more and none less", () => {
  assert.throws(() => matchJson({ a: 1 }, { a: 1, b: 2 }, names()), /\$\.b is not expected/);
  assert.throws(() => matchJson({ a: 1, b: 2 }, { a: 1 }, names()), /\$\.b is missing/);
  matchJson({ a: 1, "…": true }, { a: 1, b: 2 }, names());
  matchJson({ "<=c>": 1 }, { news: 1 }, names({ c: "news" }));
  assert.throws(() => matchJson([1], [1, 2], names()), /\$/);
  assert.throws(() => matchJson(null, 0, names()), /\$/);
});

test("a text is taken literally outside its holes", () => {
  matchText('{"a":[<offset:o>],"t":"<time>"}', '{"a":[5],"t":"2026-01-23T10:00:03.000Z"}', names(), "body");
  matchText("a-b/c.*<x>", "a-b/c.*<x>", names(), "body");
  assert.throws(() => matchText("a.c", "abc", names(), "body"), /body/);
  assert.throws(() => matchText("<offset>", "017", names(), "body"), /body/);
  assert.throws(() => matchText("<cursor>", "1f0c93ab-01", names(), "body"), /body/);
  assert.throws(() => matchText("", "x", names(), "body"), /body/);
});

test("a value that was caught is taken literally too", () => {
  matchText("<=c>", "a.*", names({ c: "a.*" }), "body");
  assert.throws(() => matchText("<=c>", "abc", names({ c: "a.*" }), "body"), /body/);
});

test("requests are filled, and an unknown name is an error", () => {
  assert.deepEqual(fill({ after: "<=e>-<=o>", list: ["<=o>", 1] }, names({ e: "ff", o: 7 })), { after: "ff-7", list: ["7", 1] });
  assert.throws(() => fill("<=missing>", names()), /before it has a value/);
});

test("a long text is written short", () => {
  assert.deepEqual(fill({ data: { repeat: "ab", times: 3 } }, names()), { data: "ababab" });
  matchJson({ data: { repeat: "ab", times: 3 } }, { data: "ababab" }, names());
  assert.throws(() => matchJson({ repeat: "ab", times: 3 }, "abab", names()), /expected/);
});
