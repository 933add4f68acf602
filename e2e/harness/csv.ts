/** Price files for uploads: the same bytes for the same seed. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { temporaryFolder } from "../../testing/folders.mjs";
import { Random } from "./random.ts";

export interface Sample {
  readonly path: string;
  readonly bytes: number;
  readonly rows: number;
  readonly sha256: string;
}

const HEADER = "time,symbol,open,high,low,close,volume\n";
const START = Date.UTC(2015, 0, 5, 9);
const MINUTE_MS = 60_000;

/** A walk over one-minute bars, until the file has at least that many bytes. */
export async function priceFile(name: string, bytesMin: number): Promise<Sample> {
  const dir = await temporaryFolder("csv");
  const path = join(dir, name);
  const random = new Random(20_260_123);
  const hash = createHash("sha256");
  const file = createWriteStream(path);
  let price = 84.2;
  let [bytes, rows] = [0, 0];
  let part = HEADER;
  const flush = async () => {
    hash.update(part);
    bytes += Buffer.byteLength(part);
    if (!file.write(part)) await once(file, "drain");
    part = "";
  };
  while (bytes + part.length < bytesMin) {
    const open = price;
    price = open * Math.exp(0.0009 * random.normal());
    const high = Math.max(open, price) * (1 + 0.0004 * random.unit());
    const low = Math.min(open, price) / (1 + 0.0004 * random.unit());
    const time = new Date(START + rows * MINUTE_MS).toISOString();
    const prices = [open, high, low, price].map((value) => value.toFixed(3)).join(",");
    part += `${time},FPT,${prices},${random.between(100, 90_000)}\n`;
    rows += 1;
    if (part.length > 1 << 18) await flush();
  }
  await flush();
  file.end();
  await finished(file);
  return { path, bytes, rows, sha256: hash.digest("hex") };
}

/** A file whose fourth line is longer than a row may be. */
export async function brokenFile(name: string): Promise<string> {
  const dir = await temporaryFolder("csv");
  const path = join(dir, name);
  const endless = "x".repeat(2 << 20);
  await writeFile(
    path,
    `time,close,note\n2026-01-05,84.2,a\n2026-01-06,84.9,b\n2026-01-07,85.1,${endless}\n`,
  );
  return path;
}

/** A file with a column that can be read in two ways, and a row that is too short. */
export async function doubtfulFile(name: string): Promise<string> {
  const dir = await temporaryFolder("csv");
  const path = join(dir, name);
  await writeFile(path, "city;lat;note\nHanoi;21.028;a\nHue;16.463;b\nSapa;22.336\n");
  return path;
}
