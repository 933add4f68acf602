/**
 * Link: what connects the readers to the server. A connection has one; which kind is decided where it is
 * made.
 */
import type { Http } from "./http.js";
import type { Policy } from "./policy.js";
import type { Fields, Receipt } from "./protocol.js";
import type { Readers } from "./readers.js";
import type { Status } from "./status.js";

export interface Link {
  /** The set of readers has changed. */
  update(): void;
  /** Publishes over an open transport; null if none can. */
  publish(frame: Fields): Promise<Receipt> | null;
  /** Begins anew, also after `failed`. */
  reconnect(): void;
  close(): void;
}

/** What a link may use of the connection that owns it. */
export interface LinkHost {
  readonly http: Http;
  readonly policy: Policy;
  readonly readers: Readers;
  /** Names this client on the server. */
  readonly client: string;
  /**
   * The application gave the name; only then do polls carry it, because a cache can't share a URL with a name
   * in it.
   */
  readonly isClientNamed: boolean;
  /** The server's heartbeat interval, as far as known. */
  heartbeatMs: number;
  report(change: Partial<Status>): void;
}

export type LinkFactory = (host: LinkHost) => Link;
