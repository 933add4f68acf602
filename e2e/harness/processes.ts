/** Processes that a server's commands left: found by what the server puts into their environment. */
import { readdirSync, readFileSync } from "node:fs";
import { until } from "../../testing/until.mjs";

/** Those that still run, with their command lines. */
export function commandsOf(dir: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, "latin1").includes(`ANYWIRE_FILES=${dir}`)) continue;
      found.push(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").slice(0, 200));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

export async function noneLeft(dir: string): Promise<void> {
  await until("no process of a command is left", () => {
    const left = commandsOf(dir);
    return left.length === 0 ? true : `${left.join(" | ")}` && false;
  });
}
