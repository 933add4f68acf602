/**
 * Expectations of a case: texts and JSON with holes.
 *
 *   <kind>        any text of this kind
 *   <kind:name>   the same, kept under this name; if the name has a value already, that value
 *   <=name>       the value kept under this name
 *
 * A JSON leaf that is nothing but a number's hole (offset, integer) matches numbers only, any other hole
 * texts only. `"…": true` in an object allows other members.
 */

const KINDS = {
  cursor: "[0-9a-f]{8}-(?:0|[1-9][0-9]*)",
  epoch: "[0-9a-f]{8}",
  offset: "[1-9][0-9]*",
  integer: "(?:0|[1-9][0-9]*)",
  time: "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z",
  digits: "[0-9]+",
  word: "[A-Za-z0-9_-]+",
  text: "[\\s\\S]+",
  any: "[\\s\\S]*",
};
const NUMBERS = new Set(["offset", "integer"]);
const WHOLE_HOLE = /^<(?:=(\w+)|([a-z]+)(?::(\w+))?)>$/;
const REST = "…";

/** Replaces `<=name>` in every text of a request, and `{"repeat": text, "times": n}` by a long text. */
export function fill(value, names) {
  if (typeof value === "string") {
    return value.replace(/<=(\w+)>/g, (_, name) => String(known(names, name)));
  }
  if (Array.isArray(value)) {
    return value.map((member) => fill(member, names));
  }
  if (value !== null && typeof value === "object") {
    if (typeof value.repeat === "string" && typeof value.times === "number") {
      return value.repeat.repeat(value.times);
    }
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [fill(key, names), fill(member, names)]));
  }
  return value;
}

/**
 * Throws with a path and both values if `actual` is not as expected; keeps what the holes caught in `names`.
 */
export function matchJson(expected, actual, names, path = "$") {
  if (typeof expected === "string") {
    matchLeaf(expected, actual, names, path);
  } else if (Array.isArray(expected)) {
    matchArray(expected, actual, names, path);
  } else if (expected !== null && typeof expected === "object" && typeof expected.repeat === "string") {
    matchLeaf(fill(expected, names), actual, names, path);
  } else if (expected !== null && typeof expected === "object") {
    matchObject(expected, actual, names, path);
  } else if (expected !== actual) {
    throw mismatch(path, expected, actual);
  }
}

/** The same for a text. */
export function matchText(template, text, names, path) {
  // Long texts make no pattern.
  if (template === text) {
    return;
  }
  const holes = [];
  const pattern = template.split(HOLE_SPLIT).map((part) => partPattern(part, names, holes)).join("");
  const found = new RegExp(`^${pattern}$`, "u").exec(text);
  if (found === null) {
    throw mismatch(path, template, text);
  }
  holes.forEach((name, index) => keep(names, name, found[index + 1], path));
}

const HOLE_SPLIT = /(<(?:=\w+|[a-z]+(?::\w+)?)>)/;

function partPattern(part, names, holes) {
  const hole = WHOLE_HOLE.exec(part);
  if (hole === null || (hole[2] !== undefined && KINDS[hole[2]] === undefined)) {
    return part.replace(/[\\^$.*+?()[\]{}|/-]/gu, (sign) => (sign === "-" ? "\\x2d" : `\\${sign}`));
  }
  const [, reference, kind, name] = hole;
  if (reference !== undefined) {
    return partPattern(String(known(names, reference)), names, holes);
  }
  if (name === undefined) {
    return `(?:${KINDS[kind]})`;
  }
  holes.push(name);
  return `(${KINDS[kind]})`;
}

function matchLeaf(template, actual, names, path) {
  const hole = WHOLE_HOLE.exec(template);
  const wantsNumber = hole !== null && (NUMBERS.has(hole[2]) || typeof names.get(hole[1]) === "number");
  if (typeof actual !== (wantsNumber ? "number" : "string")) {
    throw mismatch(path, template, actual);
  }
  matchText(template, String(actual), names, path);
  if (wantsNumber && hole[3] !== undefined) {
    names.set(hole[3], actual);
  }
}

function matchArray(expected, actual, names, path) {
  if (!Array.isArray(actual) || actual.length !== expected.length) {
    throw mismatch(path, expected, actual);
  }
  expected.forEach((member, index) => matchJson(member, actual[index], names, `${path}[${index}]`));
}

function matchObject(expected, actual, names, path) {
  if (actual === null || typeof actual !== "object" || Array.isArray(actual)) {
    throw mismatch(path, expected, actual);
  }
  const { [REST]: rest, ...members } = expected;
  for (const [key, member] of Object.entries(members)) {
    const name = fill(key, names);
    if (!Object.hasOwn(actual, name)) {
      throw new Error(`${path}.${name} is missing in ${JSON.stringify(actual)}`);
    }
    matchJson(member, actual[name], names, `${path}.${name}`);
  }
  const allowed = new Set(Object.keys(members).map((key) => fill(key, names)));
  const unknown = Object.keys(actual).find((key) => !allowed.has(key));
  if (unknown !== undefined && rest !== true) {
    throw new Error(`${path}.${unknown} is not expected in ${JSON.stringify(actual)}`);
  }
}

function keep(names, name, value, path) {
  const before = names.get(name);
  if (before !== undefined && String(before) !== value) {
    throw mismatch(path, before, value);
  }
  names.set(name, before ?? value);
}

function known(names, name) {
  if (!names.has(name)) {
    throw new Error(`the case uses <=${name}> before it has a value`);
  }
  return names.get(name);
}

function mismatch(path, expected, actual) {
  return new Error(`${path}: expected ${show(expected)}, got ${show(actual)}`);
}

function show(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}
