/**
 * Signs a client's token, without any library. Run: JWT_SECRET=… node token.mjs USER 'progress_*' [PATTERN…]
 */

import { createHmac } from "node:crypto";
import { pathToFileURL } from "node:url";

/** A JWT (HS256) that lets `user` subscribe and publish to these channel patterns for so many seconds. */
export function token(secret, user, subscribe, publish = [], seconds = 3600) {
  const claims = { sub: user, exp: Math.floor(Date.now() / 1000) + seconds, subscribe, publish };
  const parts = [{ alg: "HS256", typ: "JWT" }, claims];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(token(process.env.JWT_SECRET, process.argv[2], process.argv.slice(3)));
}
