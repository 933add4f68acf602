/**
 * Programs that a test starts: ended with the test's process whatever happens, and heard when they end before
 * their time.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { atEnd } from "./ending.mjs";
import { Hopeless, sleep, until, within } from "./until.mjs";

/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

const LINES_MAX = 100;

/** @type {Set<ChildProcess>} */
const started = new Set();
/** @type {WeakMap<ChildProcess, Error>} */
const failures = new WeakMap();
atEnd(() => {
  for (const child of started) child.kill("SIGKILL");
});

/**
 * Starts a program. That it could not be started is told by {@link readyWhen}.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions} options
 * @returns {ChildProcess}
 */
export function start(program, args, options) {
  const child = spawn(program, args, options);
  started.add(child);
  child.once("exit", () => started.delete(child));
  child.on("error", (error) => failures.set(child, error));
  return child;
}

/** @param {ChildProcess} child */
export const hasEnded = (child) =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

/**
 * Waits until a program is ready; one that ends meanwhile never will be, and `said` is what it said.
 *
 * @template T
 * @param {string} what
 * @param {ChildProcess} child
 * @param {() => T | Promise<T>} ask
 * @param {() => string} [said]
 * @param {number} [patienceMs]
 * @returns {Promise<NonNullable<T>>}
 */
export async function readyWhen(what, child, ask, said = () => "", patienceMs) {
  const look = async () => {
    if (hasEnded(child)) throw new Hopeless(await lastWords(what, child, said));
    return ask();
  };
  return until(`${what} is ready`, look, patienceMs);
}

/**
 * @param {string} what
 * @param {ChildProcess} child
 * @param {() => string} said
 */
async function lastWords(what, child, said) {
  // They may still be on the way, and so may the reason why nothing was started.
  await sleep(0);
  const open = [child.stdout, child.stderr].some((stream) => stream && !stream.closed);
  if (child.pid !== undefined && open) await once(child, "close");
  const end = failures.get(child)?.message ?? child.exitCode ?? child.signalCode;
  return `${what} ended before it was ready (${end})\n${said()}`;
}

/**
 * Ends a program and waits until it is gone. One that is gone already is no failure; one that does not go is
 * killed, and that is told.
 *
 * @param {ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
export async function end(child, signal) {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill(signal);
  try {
    await within(`the end of ${child.spawnfile} after ${signal}`, ended);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

/** The last lines of what programs write, whichever stream they come on. */
export class Output {
  /** @type {string[]} */
  #lines = [];

  /**
   * Listens to a program whose streams are piped.
   *
   * @param {ChildProcess} child
   * @param {(line: string) => void} [onLine]
   */
  follow(child, onLine) {
    for (const input of [child.stdout, child.stderr]) {
      if (!input) continue;
      createInterface({ input }).on("line", (line) => {
        this.#lines.push(line);
        if (this.#lines.length > LINES_MAX) this.#lines.shift();
        onLine?.(line);
      });
    }
  }

  get text() {
    return this.#lines.join("\n");
  }

  /** What came since this was asked last. */
  take() {
    return this.#lines.splice(0);
  }
}

/**
 * Starts a program and waits for the line in which it says where it listens.
 *
 * @param {string} what
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, patienceMs?: number }} [options]
 */
export async function startListening(what, program, args, { patienceMs, ...options } = {}) {
  const child = start(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const output = new Output();
  /** @type {string | undefined} */
  let url;
  output.follow(child, (line) => {
    url ??= /\b(?:https?|wss?):\/\/[^\s/]+/.exec(line)?.[0];
  });
  await readyWhen(
    what,
    child,
    () => url,
    () => output.text,
    patienceMs,
  );
  return { url: url ?? "", child, stop: () => end(child, "SIGTERM") };
}
