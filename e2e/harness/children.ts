/** Programs that a test starts: ended with the test's process whatever happens, and heard when they end before their time. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { atEnd } from "./ending.ts";
import { Hopeless, until } from "./until.ts";

const started = new Set<ChildProcess>();
const failures = new WeakMap<ChildProcess, Error>();
atEnd(() => {
  for (const child of started) child.kill("SIGKILL");
});

/** Starts a program. That it could not be started is told by `readyWhen`. */
export function start(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(program, args, options);
  started.add(child);
  child.once("exit", () => started.delete(child));
  child.on("error", (error) => failures.set(child, error));
  return child;
}

export const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

/** Waits until a program is ready; one that ends meanwhile never will be, and `said` is what it said. */
export async function readyWhen(
  what: string,
  child: ChildProcess,
  ask: () => boolean | Promise<boolean>,
  said: () => string = () => "",
): Promise<void> {
  await until(`${what} is ready`, async () => {
    if (hasEnded(child)) throw new Hopeless(await lastWords(what, child, said));
    return ask();
  });
}

async function lastWords(what: string, child: ChildProcess, said: () => string): Promise<string> {
  // They may still be on the way.
  const open = [child.stdout, child.stderr].some((stream) => stream && !stream.closed);
  if (child.pid !== undefined && open) await once(child, "close");
  const end = failures.get(child)?.message ?? child.exitCode ?? child.signalCode;
  return `${what} ended before it was ready (${end})\n${said()}`;
}

/** Ends a program and waits until it is gone. One that is gone already is no failure. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}
