/** Tokens of clients, signed as a back end signs them. */
import { createHmac } from "node:crypto";

export const API_KEY = "e2e-api-key-0123456789";
const SECRET = "e2e-jwt-secret-0123456789abcdef0123";

/** The part of a configuration that keeps everybody out who has no key or token. */
export const KEYS = `[auth]\napi_keys = ["${API_KEY}"]\njwt_secret = "${SECRET}"\n`;

export interface Rights {
  readonly sub?: string;
  readonly subscribe?: readonly string[];
  readonly publish?: readonly string[];
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with these rights that runs out in so many seconds. */
export function token(rights: Rights, seconds = 3600): string {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const body = `${base64url({ alg: "HS256", typ: "JWT" })}.${base64url({ exp, ...rights })}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}
