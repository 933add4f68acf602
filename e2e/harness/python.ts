/** Python programs in an environment of their own: made once for each version of python/requirements.txt. */
import { type ChildProcessWithoutNullStreams, execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { start } from "./children.ts";

const run = promisify(execFile);
const HERE = resolve(import.meta.dirname, "../python");
const CACHE = resolve(import.meta.dirname, "../../.cache");
const VENV = join(CACHE, "venv-e2e");
const STAMP = join(VENV, "installed.txt");

/** The interpreter of the environment; installs what is pinned where that has not been done. */
export async function python(): Promise<string> {
  const interpreter = join(VENV, "bin", "python");
  const wanted = await readFile(join(HERE, "requirements.txt"), "utf8");
  if (existsSync(STAMP) && (await readFile(STAMP, "utf8")) === wanted) return interpreter;
  await rm(VENV, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  await run("python3", ["-m", "venv", VENV]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
  await run(interpreter, [...pip, "-r", join(HERE, "requirements.txt")]);
  await writeFile(STAMP, wanted);
  return interpreter;
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
