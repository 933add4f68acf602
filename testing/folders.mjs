/** Folders that are gone when the tests are. */
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
// Programs end before their folders go: this module adds its deed first.
import "./program.mjs";
import { atEnd } from "./ending.mjs";

/** @type {Set<string>} */
const made = new Set();
atEnd(() => {
  // A program that is just being killed may still be writing into it.
  for (const folder of made) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/**
 * A folder for one test's files, with the test's word in its name.
 *
 * @param {string} word
 */
export async function temporaryFolder(word) {
  const folder = await mkdtemp(join(tmpdir(), `anywire-${word}-`));
  made.add(folder);
  return folder;
}

/** @param {string} folder */
export async function removeFolder(folder) {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  made.delete(folder);
}
