/**
 * Ports for servers that must come back on the one they had, so that they cannot let the system choose.
 *
 * They lie below those that the system gives to outgoing connections: while a server is down, a connection of anybody's could
 * be given its port, and a client that tries to reach it could even be connected to itself.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const LOWEST = 10_000;
/** Where Linux and others begin with the ports of outgoing connections if they are not told otherwise. */
const USUAL_END = 32_768;
const TRIES_MAX = 1000;

const given = new Set<number>();

/** The first port that an outgoing connection may be given. */
function end(): number {
  try {
    const [first] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/);
    const port = Number(first);
    // A machine may give nearly all of them to outgoing connections: then there is nothing below.
    return port > LOWEST + TRIES_MAX ? port : USUAL_END;
  } catch {
    return USUAL_END;
  }
}

/** The first of `count` neighbouring ports that nobody listens on and that were not given out here before. */
export async function freePort(count = 1): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const first = LOWEST + Math.floor(Math.random() * (end() - LOWEST - count));
    const ports = Array.from({ length: count }, (_, index) => first + index);
    if (ports.some((port) => given.has(port))) continue;
    if (!(await Promise.all(ports.map(isFree))).every((free) => free)) continue;
    for (const port of ports) given.add(port);
    return first;
  }
  throw new Error(`no ${count} free ports from ${LOWEST} to ${end()} in ${TRIES_MAX} tries`);
}

async function isFree(port: number): Promise<boolean> {
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
