/** Folders that are gone when the tests are. */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
// Programs end before their folders go: this module adds its deed first.
import "./children.ts";
import { atEnd } from "./ending.ts";

const made = new Set<string>();
atEnd(() => {
  // A program that is just being killed may still be writing into it.
  for (const folder of made) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A folder for one test's files, with the test's word in its name. */
export async function temporaryFolder(word: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `anywire-${word}-`));
  made.add(folder);
  return folder;
}
