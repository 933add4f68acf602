/**
 * Ports for servers that must come back on the one they had, so that they cannot let the system choose.
 *
 * They lie below those that the system gives to outgoing connections: while a server is down, a connection of
 * anybody's could be given its port, and a client that tries to reach it could even be connected to itself.
 * Each worker of a test runner has a range of its own, so that none takes a port while a neighbour's server
 * is down.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 10_000;
/** Where Linux and others begin with the ports of outgoing connections if they are not told otherwise. */
const USUAL_END = 32_768;
const TRIES_MAX = 1000;
/** Ranges; a worker beyond the last one shares the first. */
const RANGES = 4;

/** @type {Set<number>} */
const given = new Set();

/** The first port that an outgoing connection may be given. */
function end() {
  try {
    const [first] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/);
    const port = Number(first);
    // A machine may give nearly all of them to outgoing connections: then there is nothing below.
    return port > LOWEST + TRIES_MAX ? port : USUAL_END;
  } catch {
    return USUAL_END;
  }
}

/**
 * The ports of a worker, the second one excluded. vitest numbers its workers from 1; without it there is one.
 *
 * @param {string | undefined} worker
 * @returns {[number, number]}
 */
export function rangeOf(worker = process.env.VITEST_POOL_ID, to = end()) {
  const size = Math.floor((to - LOWEST) / RANGES);
  const first = LOWEST + ((Number(worker) || 0) % RANGES) * size;
  return [first, first + size];
}

/** The first of `count` neighbouring ports that nobody listens on and that were not given out here before. */
export async function freePort(count = 1) {
  const [from, to] = rangeOf();
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const first = from + Math.floor(Math.random() * (to - from - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (ports.some((port) => given.has(port))) continue;
    if (!(await Promise.all(ports.map(isFree))).every((free) => free)) continue;
    for (const port of ports) given.add(port);
    return first;
  }
  throw new Error(`no ${count} free ports from ${from} to ${to} in ${TRIES_MAX} tries`);
}

/** @param {number} port */
async function isFree(port) {
  const probe = createServer().listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch {
    return false;
  }
  probe.close();
  await once(probe, "close");
  return true;
}
