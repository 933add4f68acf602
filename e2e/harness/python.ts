/** Python programs in an environment of their own: made once for each version of python/requirements.txt. */
import { type ChildProcessWithoutNullStreams, execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { start } from "../../testing/program.mjs";

const run = promisify(execFile);
const HERE = resolve(import.meta.dirname, "../python");
const CACHE = resolve(import.meta.dirname, "../../.cache");

/**
 * The interpreter of the environment; installs what is pinned where that has not been done. Suites run beside
 * each other: each makes one of its own where there is none, and the first that is finished stays.
 */
export async function python(): Promise<string> {
  const wanted = await readFile(join(HERE, "requirements.txt"));
  const place = join(CACHE, `venv-e2e-${createHash("sha256").update(wanted).digest("hex").slice(0, 12)}`);
  if (!existsSync(place)) await install(place);
  return join(place, "bin", "python");
}

async function install(place: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const making = await mkdtemp(`${place}-`);
  try {
    await run("python3", ["-m", "venv", making]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    await run(join(making, "bin", "python"), [...pip, "-r", join(HERE, "requirements.txt")]);
    await rename(making, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

/** Runs a program text to its end and answers what it printed. Throws with what it complained about. */
export async function runPython(text: string, args: readonly string[] = []): Promise<string> {
  return (await run(await python(), ["-c", text, ...args], { maxBuffer: 64 << 20 })).stdout;
}

/** Starts one of the programs in python/. */
export async function spawnPython(
  name: string,
  args: readonly string[],
): Promise<ChildProcessWithoutNullStreams> {
  const child = start(await python(), ["-u", join(HERE, name), ...args], { stdio: "pipe" });
  return child as ChildProcessWithoutNullStreams;
}
