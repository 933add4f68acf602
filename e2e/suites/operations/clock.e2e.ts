/**
 * A machine whose wall clock jumps ten years ahead and back, as a broken time server makes it: nothing grows
 * old by that, and the log of the process says what happened.
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeFolder, temporaryFolder } from "../../../testing/folders.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { publish, readAll } from "../../harness/log.ts";

/** Where the library stands that tells a program another time (Debian's package `faketime`). */
const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/faketime/libfaketimeMT.so.1",
  "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

let folder: string;
let server: Server;

const clock = () => join(folder, "clock");

beforeAll(async () => {
  const library = LIBRARIES.find((path) => existsSync(path));
  if (!library) throw new Error("libfaketime is missing: install Debian's package faketime");
  folder = await temporaryFolder("clock");
  await writeFile(clock(), "+0");
  server = await Server.start({
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: clock(),
      FAKETIME_NO_CACHE: "1",
      // The machine's own clock goes on: only what people set jumps.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    },
  });
});

afterAll(async () => {
  await server?.dispose();
  if (folder) await removeFolder(folder);
});

/** Lets retention, which looks once a second, look several times. */
async function letSecondsPass(from: number): Promise<void> {
  const begin = performance.now();
  for (let number = from; performance.now() - begin < 3000; number += 1)
    await publish(server.url, [{ channel: "busy", data: number }]);
}

const kept = async () => (await readAll(server.url, "kept")).events.map((event) => event.data);

test("a wall clock that jumps ten years ahead and back takes no event, and is told of", async () => {
  await publish(
    server.url,
    [1, 2, 3].map((data) => ({ channel: "kept", data })),
  );
  await writeFile(clock(), "+10y");
  await until("the jump is told of", () => server.log.includes("the wall clock was set"));
  await letSecondsPass(0);
  expect(await kept()).toEqual([1, 2, 3]);
  await publish(server.url, [{ channel: "kept", data: 4 }]);
  await writeFile(clock(), "+0");
  await letSecondsPass(1000);
  await publish(server.url, [{ channel: "kept", data: 5 }]);
  expect(await kept()).toEqual([1, 2, 3, 4, 5]);
  await server.stop();
  await server.boot();
  await letSecondsPass(2000);
  expect(await kept()).toEqual([1, 2, 3, 4, 5]);
  expect((await readAll(server.url, "kept")).gaps).toEqual([]);
});
