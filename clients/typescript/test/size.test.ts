import { expect, test } from "vitest";
import { CORE_BYTES_MAX, measure } from "../scripts/size.mjs";

test("the whole core is at most 10 kB, minified and gzipped", async () => {
  const { gzipped } = await measure("src/index.ts");
  expect(gzipped).toBeLessThanOrEqual(CORE_BYTES_MAX);
  expect(gzipped).toBeGreaterThan(1000); // it did measure something
});

test("an adapter adds less than a kilobyte", async () => {
  for (const entry of ["src/vue.ts", "src/react.ts"])
    expect((await measure(entry)).gzipped).toBeLessThan(1000);
});
