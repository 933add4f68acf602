/**
 * A server under test: started, waited for, stopped.
 *
 * Knows: that a server prints one line with its URL when it is ready. Does not know: which server it is.
 */

import { spawn } from "node:child_process";

/** Only a hang takes so long. */
const READY_MS_MAX = 120_000;
const STOP_MS_MAX = 10_000;
const URL_PATTERN = /\b(?:https?|wss?):\/\/[^\s/]+/;

/** Starts a program and waits for the line with its URL. `build` programs (cargo) may take longer: give `readyMs`. */
export async function start(command, args, { env = {}, cwd, readyMs = READY_MS_MAX } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const log = [];
  const url = await firstUrl(child, log, readyMs);
  return { url, log, stop: () => stop(child) };
}

function firstUrl(child, log, readyMs) {
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      child.kill("SIGKILL");
      reject(new Error(`${why}\n${log.join("")}`));
    };
    const timer = setTimeout(() => fail(`no line with a URL after ${readyMs} ms`), readyMs);
    const read = (chunk) => {
      log.push(chunk.toString());
      const found = log.join("").match(URL_PATTERN);
      if (found && log.join("").indexOf("\n", found.index) >= 0) {
        clearTimeout(timer);
        resolve(found[0]);
      }
    };
    child.stdout.on("data", read);
    child.stderr.on("data", (chunk) => log.push(chunk.toString()));
    child.on("error", (error) => fail(error.message));
    child.on("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`ended with ${code} before it was ready\n${log.join("")}`));
    });
  });
}

/** Asks for an orderly end, then insists. Resolves with the exit code. */
function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(child.exitCode);
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
    child.kill("SIGTERM");
  });
}
