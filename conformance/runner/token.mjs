/**
 * Tokens that run out while a case looks on. All others stand in the cases as they are.
 */

import { createHmac } from "node:crypto";

const SECRET = "conformance-jwt-secret-0123456789abcdef";

/** Signs claims; `exp` is `seconds` from now. */
export function sign(claims, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, exp })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}
