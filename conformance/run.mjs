/**
 * Holds the cases in cases/ against a server.
 *
 *   node run.mjs                                all cases, against ANYWIRE_BIN or else target/release/anywire
 *   node run.mjs cursors                        the files whose name holds "cursors"
 *   node run.mjs --case poll_without_after      the cases whose name holds this
 *
 * A file names the configuration it needs (servers/*.toml); each is asked in every way on a server of its
 * own, started on a free port and a fresh directory; a file that is `alone` has a server for each case, which
 * it may stop. The cases mostly wait, so several servers are asked side by side; what is printed keeps its
 * order. Ends with `N passed, N failed`.
 */

import { readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { framingCases } from "./runner/framing.mjs";
import { Server } from "./runner/server.mjs";
import { Scene } from "./runner/steps.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const CASE_MS_MAX = 30_000;
/** How much of a server's log is shown after a failure. */
const LOG_CHARACTERS = 4_000;
const MESSAGE_CHARACTERS = 2_000;
/** How many servers are asked side by side. */
const SERVERS_MAX = 8;
/** Everything is asked twice: a server may treat a request without anything unusual in a way of its own. */
const PASSES = [
  { how: "plain requests", headers: {} },
  { how: "requests with a Content-Length of 0", headers: { "content-length": "0" } },
];

async function main(args) {
  const runs = PASSES.flatMap((pass) => load(args).flatMap((file) => runsOf(file, pass)));
  const outcomes = sideBySide(runs.map((run) => () => runOnServer(run)), SERVERS_MAX);
  const tally = { passed: 0, failed: 0 };
  let heading = "";
  for (const [index, { file, pass }] of runs.entries()) {
    const { lines, passed, failed } = await outcomes[index];
    const title = `\n${file.name}: ${file.about} (${file.server}.toml, ${pass.how})`;
    if (title !== heading) {
      heading = title;
      console.log(title);
    }
    console.log(lines.join("\n"));
    tally.passed += passed;
    tally.failed += failed;
  }
  console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

/** Starts the jobs in their order, at most `max` at a time; a promise for each. */
function sideBySide(jobs, max) {
  let running = 0;
  const waiting = [];
  return jobs.map(async (job) => {
    if (running < max) {
      running += 1;
    } else {
      await new Promise((resolve) => waiting.push(resolve));
    }
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next === undefined) {
        running -= 1;
      } else {
        next();
      }
    }
  });
}

function load(args) {
  const at = args.indexOf("--case");
  const wantedCase = at < 0 ? "" : args[at + 1];
  const wantedFiles = args.filter((_, index) => at < 0 || (index !== at && index !== at + 1));
  return readdirSync(join(HERE, "cases"))
    .filter((name) => name.endsWith(".json"))
    .filter((name) => wantedFiles.length === 0 || wantedFiles.some((wanted) => name.includes(wanted)))
    .sort()
    .map((name) => ({ name: basename(name, ".json"), ...read("cases", name) }))
    .map((file) => (file.vectors === undefined ? file : { ...file, cases: framingCases(read("vectors", file.vectors).vectors) }))
    .map((file) => ({ ...file, cases: file.cases.filter((one) => one.name.includes(wantedCase)) }))
    .filter((file) => file.cases.length > 0);
}

function read(folder, name) {
  return JSON.parse(readFileSync(join(HERE, folder, name), "utf8"));
}

/** What has a server of its own: a file, or each case of one that is `alone`. */
function runsOf(file, pass) {
  const cases = file.alone ? file.cases.map((one) => [one]) : [file.cases];
  return cases.map((cases) => ({ file, pass, cases }));
}

/** Never fails: a server that doesn't start has failed all its cases. */
async function runOnServer({ file, pass, cases }) {
  const outcome = { lines: [], passed: 0, failed: 0 };
  let server;
  try {
    server = await Server.start(file.server);
    await runCases(cases, server, pass, outcome);
  } catch (error) {
    outcome.failed = cases.length - outcome.passed;
    outcome.lines.push(`  FAILED  the server: ${error.message}`);
  } finally {
    await server?.remove();
  }
  if (outcome.failed > 0 && server !== undefined) {
    outcome.lines.push(`the server's log:\n${server.log.slice(-LOG_CHARACTERS)}`);
  }
  return outcome;
}

async function runCases(cases, server, pass, outcome) {
  const epoch = await server.epoch();
  for (const one of cases) {
    const scene = new Scene(server, pass.headers);
    scene.names.set("epoch", epoch);
    const failure = await runCase(scene, one);
    outcome[failure === undefined ? "passed" : "failed"] += 1;
    outcome.lines.push(failure === undefined ? `  ok      ${one.name}` : `  FAILED  ${one.name}\n          ${failure}`);
  }
}

async function runCase(scene, one) {
  let at = 0;
  const steps = async () => {
    for (const step of one.steps) {
      at += 1;
      await scene.run(step);
    }
  };
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`longer than ${CASE_MS_MAX} ms`)), CASE_MS_MAX);
  });
  try {
    await Promise.race([steps(), limit]);
    return undefined;
  } catch (error) {
    return `step ${at}: ${error.message.slice(0, MESSAGE_CHARACTERS)}`;
  } finally {
    clearTimeout(timer);
    scene.leave();
  }
}

process.exitCode = await main(process.argv.slice(2));
