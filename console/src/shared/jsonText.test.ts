import { describe, expect, it } from "vitest";
import { jsonProblem, prettyJson } from "./jsonText";

describe("JSON for people", () => {
  it.each(["9007199254740993", "1.10", "1E400", "-0.0", "1e-7", "123456789012345678901234567890.10"])(
    "shows the number %s as it came",
    (number) => {
      expect(prettyJson(number)).toBe(number);
      expect(prettyJson(`{"a":[${number}]}`)).toBe(`{\n  "a": [\n    ${number}\n  ]\n}`);
    },
  );

  it("is in lines as JSON.stringify writes them", () => {
    const values = [
      {},
      [],
      [[]],
      { a: {} },
      [1, "x", null, true],
      { "a:b": '[,]{}\\"', c: [{ d: "\\" }, []] },
      "",
      "x",
    ];
    for (const value of values) expect(prettyJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
  });

  it("keeps escapes, members that stand twice, and their order", () => {
    const text = '{ "b" : "\\u0041\\/" , "a":1,"b" : 2 }';
    expect(prettyJson(text)).toBe('{\n  "b": "\\u0041\\/",\n  "a": 1,\n  "b": 2\n}');
  });

  it("leaves what is no JSON as it is, and says why it is none", () => {
    for (const text of ["", "{", "01", "plain text", "{'a': 1}", "[1,]", "NaN", '"a\nb"']) {
      expect(prettyJson(text)).toBe(text);
      expect(jsonProblem(text)).not.toBeNull();
    }
    expect(jsonProblem('{"a": 1E400}')).toBeNull();
  });
});
