/**
 * Judges our WebSocket framing by the Autobahn test suite, cases 1 to 7, 9 and 10.
 *
 *   node conformance/autobahn/run.mjs                      builds and starts the echo example, then judges it
 *   node conformance/autobahn/run.mjs ws://127.0.0.1:9001  judges a server that is already there
 *   ECHO_BIN=path node conformance/autobahn/run.mjs        starts this echo server instead
 *
 * The suite is a Python 2.7 program. It is installed into .cache/autobahn from the package index, or, where
 * there is no Python 2.7 (AUTOBAHN_PYTHON names one), its container image is used. Ends with 0 if every case
 * is OK, NON-STRICT or INFORMATIONAL, 1 if one is not, 2 if the suite could not be run at all (0 if
 * ANYWIRE_ALLOW_MISSING names it).
 */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startListening } from "../../testing/program.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
const CACHE = join(ROOT, ".cache", "autobahn");
const PACKAGES = join(CACHE, "packages");
const IMAGE = "crossbario/autobahn-testsuite:0.8.2";
const BUILD_MS_MAX = 600_000;
const RUN_MS_MAX = 600_000;
/** How many cases the specification selects; fewer means that the server went away. */
const CASES = 301;
const GOOD = new Set(["OK", "NON-STRICT", "INFORMATIONAL"]);

async function main(url) {
  const suite = findSuite();
  if (suite === undefined) {
    const excused = (process.env.ANYWIRE_ALLOW_MISSING ?? "").split(",").includes("autobahn");
    console.error("autobahn: needs Python 2.7 with pip (set AUTOBAHN_PYTHON) or a running docker; neither is here");
    return excused ? 0 : 2;
  }
  const server = url === undefined ? await startEcho() : { url, stop: () => {} };
  try {
    return judge(runSuite(suite, server.url));
  } finally {
    await server.stop();
  }
}

function startEcho() {
  if (process.env.ECHO_BIN) {
    return startListening("the echo server", process.env.ECHO_BIN, ["127.0.0.1:0"]);
  }
  const args = ["run", "--release", "-p", "anywire-gateway", "--features", "echo", "--example", "echo", "--", "127.0.0.1:0"];
  return startListening("the echo server", "cargo", args, { cwd: ROOT, patienceMs: BUILD_MS_MAX });
}

/** The way to run the suite here: a function from the directory with spec.json to a command line. */
function findSuite() {
  const python = pythons().find((candidate) => candidate && run(candidate, ["-c", PYTHON_CHECK]).status === 0);
  if (python !== undefined && install(python)) {
    return () => [python, ["-c", WSTEST, PACKAGES, "-m", "fuzzingclient", "-s", "spec.json"]];
  }
  if (run("docker", ["info"]).status === 0) {
    const options = ["run", "--rm", "--network", "host", "--workdir", "/work"];
    return (directory) => ["docker", [...options, "-v", `${directory}:/work`, IMAGE, "wstest", "-m", "fuzzingclient", "-s", "spec.json"]];
  }
  return undefined;
}

const PYTHON_CHECK = "import sys, pip; sys.exit(sys.version_info[:2] != (2, 7))";

// A plain PYTHONPATH would miss the namespace package of zope.interface.
const WSTEST =
  "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; sys.argv[0] = 'wstest'; run()";

function pythons() {
  const versions = (run("pyenv", ["versions", "--bare"]).stdout ?? "").split("\n").map((line) => line.trim());
  const managed = versions
    .filter((version) => version.startsWith("2.7"))
    .map((version) => join(run("pyenv", ["prefix", version]).stdout.trim(), "bin", "python"));
  return [process.env.AUTOBAHN_PYTHON, "python2.7", "python2", ...managed];
}

function install(python) {
  const stamp = join(PACKAGES, ".installed");
  const wanted = readFileSync(join(HERE, "requirements.txt"), "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) {
    return true;
  }
  console.log("autobahn: installing the suite into .cache/autobahn");
  rmSync(PACKAGES, { recursive: true, force: true });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
  const done = run(python, [...pip, "--target", PACKAGES, "-r", join(HERE, "requirements.txt")]);
  if (done.status !== 0) {
    console.error(done.stderr);
    return false;
  }
  writeFileSync(stamp, wanted);
  return true;
}

function runSuite(suite, url) {
  const spec = JSON.parse(readFileSync(join(HERE, "spec.json"), "utf8"));
  spec.servers[0].url = url;
  mkdirSync(CACHE, { recursive: true });
  rmSync(join(CACHE, spec.outdir), { recursive: true, force: true });
  writeFileSync(join(CACHE, "spec.json"), JSON.stringify(spec));
  const [command, args] = suite(CACHE);
  const done = run(command, args, { cwd: CACHE, timeout: RUN_MS_MAX });
  const index = join(CACHE, spec.outdir, "index.json");
  if (!existsSync(index)) {
    throw new Error(`the suite wrote no report (${done.error?.message ?? done.status})\n${done.stdout}${done.stderr}`);
  }
  return JSON.parse(readFileSync(index, "utf8"))[spec.servers[0].agent] ?? {};
}

/** Prints a line a category and one a bad case. */
function judge(report) {
  const categories = new Map();
  const bad = [];
  for (const [id, { behavior, behaviorClose }] of Object.entries(report)) {
    const counts = categories.get(id.split(".")[0]) ?? {};
    counts[behavior] = (counts[behavior] ?? 0) + 1;
    categories.set(id.split(".")[0], counts);
    if (!GOOD.has(behavior) || !GOOD.has(behaviorClose)) {
      bad.push(`case ${id}: ${behavior}, close ${behaviorClose}; see .cache/autobahn/reports/index.html`);
    }
  }
  for (const [category, counts] of [...categories].sort(([left], [right]) => left - right)) {
    console.log(`autobahn ${category}: ${Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", ")}`);
  }
  const count = Object.keys(report).length;
  const failed = bad.length;
  if (count !== CASES) {
    bad.push(`${count} cases ran, not ${CASES}: was the server there all the time?`);
  }
  bad.forEach((line) => console.error(line));
  console.log(`\n${count - failed} passed, ${bad.length} failed`);
  return bad.length === 0 ? 0 : 1;
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
}

process.exitCode = await main(process.argv[2]);
