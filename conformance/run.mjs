/**
 * Holds the cases in cases/ against a server.
 *
 *   node run.mjs                                all cases, against ANYWIRE_BIN or else target/release/anywire
 *   node run.mjs cursors                        the files whose name holds "cursors"
 *   node run.mjs --case poll_without_after      the cases whose name holds this
 *
 * A file names the configuration it needs (servers/*.toml); each configuration is started on a free port and
 * a fresh directory, once for each way of asking; a file that is `alone` has a server for each case, which it
 * may stop. Ends with `N passed, N failed`.
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
/** Everything is asked twice: a server may treat a request without anything unusual in a way of its own. */
const PASSES = [
  { how: "plain requests", headers: {} },
  { how: "requests with a Content-Length of 0", headers: { "content-length": "0" } },
];

async function main(args) {
  const files = load(args);
  const tally = { passed: 0, failed: 0 };
  for (const pass of PASSES) {
    for (const server of new Set(files.map((file) => file.server))) {
      await runServer(server, pass, files.filter((file) => file.server === server), tally);
    }
  }
  console.log(`\n${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
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

async function runServer(name, pass, files, tally) {
  console.log(`\n━━ ${name}.toml, ${pass.how}`);
  const shared = files.filter((file) => !file.alone);
  if (shared.length > 0) {
    await withServer(name, tally, async (server) => {
      for (const file of shared) {
        console.log(`\n${file.name}: ${file.about}`);
        await runCases(file.cases, server, pass, tally);
      }
    });
  }
  for (const file of files.filter((file) => file.alone)) {
    console.log(`\n${file.name}: ${file.about}`);
    for (const one of file.cases) {
      await withServer(name, tally, (server) => runCases([one], server, pass, tally));
    }
  }
}

async function withServer(name, tally, use) {
  const server = await Server.start(name);
  const failedBefore = tally.failed;
  try {
    await use(server);
    if (tally.failed > failedBefore) {
      console.log(`the server's log (${name}):\n${server.log.slice(-LOG_CHARACTERS)}`);
    }
  } finally {
    await server.remove();
  }
}

async function runCases(cases, server, pass, tally) {
  const epoch = await server.epoch();
  for (const one of cases) {
    const scene = new Scene(server, pass.headers);
    scene.names.set("epoch", epoch);
    const failure = await runCase(scene, one);
    tally[failure === undefined ? "passed" : "failed"] += 1;
    console.log(failure === undefined ? `  ok      ${one.name}` : `  FAILED  ${one.name}\n          ${failure}`);
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
