/**
 * Holds the cases in cases/ against a server.
 *
 *   ANYWIRE_BIN=target/release/anywire node run.mjs            all cases
 *   ANYWIRE_BIN=… node run.mjs cursors                         the files whose name holds "cursors"
 *   ANYWIRE_BIN=… node run.mjs --case poll_without_after       the cases whose name holds this
 *
 * A file names the configuration it needs (servers/*.toml); each configuration is started once, on a free port and a fresh
 * directory, once for each way of asking. Ends with `N passed, N failed`.
 *
 * Knows: files, servers, the order of things. Does not know: what a step does.
 */

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { exchange } from "./runner/http.mjs";
import { framingCases } from "./runner/framing.mjs";
import { start } from "./runner/program.mjs";
import { Scene } from "./runner/steps.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const CASE_MS_MAX = 30_000;
/** Everything is asked twice: a server may treat a request without anything unusual in a way of its own. */
const PASSES = [
  { how: "plain requests", headers: {} },
  { how: "requests with a Content-Length of 0", headers: { "content-length": "0" } },
];

async function main(args) {
  if (!process.env.ANYWIRE_BIN) {
    console.error("set ANYWIRE_BIN to the server, such as target/release/anywire");
    return 2;
  }
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
  const data = mkdtempSync(join(tmpdir(), "anywire-conformance-"));
  const config = join(HERE, "servers", `${name}.toml`);
  const args = ["serve", "--listen", "127.0.0.1:0", "--data", data, "--config", config];
  const server = await start(resolve(process.env.ANYWIRE_BIN), args, { cwd: data });
  const failedBefore = tally.failed;
  try {
    const epoch = await epochOf(server.url);
    for (const file of files) {
      await runFile(file, () => newScene(server.url, pass, epoch), tally);
    }
  } finally {
    await server.stop();
    rmSync(data, { recursive: true, force: true });
  }
  if (tally.failed > failedBefore) {
    console.log(`the server's log (${name}):\n${server.log.join("").slice(-4_000)}`);
  }
}

/** The one thing no case can know beforehand. */
async function epochOf(url) {
  const headers = { authorization: "Bearer conformance-api-key" };
  const { status, body } = await exchange(url, { path: "/anywire/poll?channels=conformance", headers });
  if (status !== 200) {
    throw new Error(`a first poll was answered ${status} ${body}`);
  }
  return JSON.parse(body).cursor.split("-")[0];
}

function newScene(url, pass, epoch) {
  const scene = new Scene(url, pass.headers);
  scene.names.set("epoch", epoch);
  return scene;
}

async function runFile(file, newScene, tally) {
  console.log(`\n${file.name}: ${file.about}`);
  for (const one of file.cases) {
    const failure = await runCase(newScene(), one);
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
    return `step ${at}: ${error.message}`;
  } finally {
    clearTimeout(timer);
    scene.leave();
  }
}

process.exitCode = await main(process.argv.slice(2));
