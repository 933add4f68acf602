/**
 * Shared: one connection for all tabs of a browser.
 *
 * ```
 *                 ┌── lock granted ──► leader ─ closed, frozen ─► (lock released)
 * follower ───────┤                      │ crashed: the browser releases the lock
 *    ▲            └── hears "leader" ─► asks it to follow each of its readers from where they stand
 *    └─ resumed
 * ```
 *
 * The leader holds the ladder. For each reader of another tab it has a reader of its own, which posts what it
 * gets. A follower's readers keep their own positions, so when the leader goes, whoever takes over goes on
 * from there.
 *
 * Every tab holds a lock in its own name, so a tab that has died is known by its free lock.
 */
import type { ChannelMap, ConnectOptions, UntypedChannels } from "./connection.js";
import { Connection } from "./connection.js";
import { formatPosition, type Position, parseAfter, parseCursor } from "./cursor.js";
import type { BroadcastLike, LocksLike } from "./environment.js";
import { AnywireError } from "./errors.js";
import { LadderLink } from "./ladder-link.js";
import type { Link, LinkHost } from "./link.js";
import type { AnywireEvent, Gap, Receipt } from "./protocol.js";
import type { Reader } from "./readers.js";
import type { Status } from "./status.js";

export interface SharedOptions extends ConnectOptions {
  /**
   * Tabs with the same name share. Default: the URL. Give one that names the user where tabs may belong to
   * different ones: the leader's token serves all. `false`: don't share.
   */
  readonly share?: string | false;
}

/**
 * As `connect`, over one connection for all tabs. Where the browser has no Web Locks, or refuses them, it is
 * `connect`.
 */
export function connectShared<Channels extends ChannelMap = UntypedChannels>(
  url: string,
  options: SharedOptions = {},
): Connection<Channels> {
  const { share = url } = options;
  return new Connection<Channels>(url, options, (host) => {
    const locks = host.http.environment.locks ?? (globalThis.navigator?.locks as LocksLike | undefined);
    const broadcast = host.http.environment.broadcast ?? platformBroadcast();
    if (share === false || !locks || !broadcast) return new LadderLink(host);
    return new TabLink(host, `anywire:${share}`, locks, broadcast(`anywire:${share}`));
  });
}

function platformBroadcast(): ((name: string) => BroadcastLike) | undefined {
  const { BroadcastChannel } = globalThis as Partial<typeof globalThis>;
  return BroadcastChannel && ((name) => new BroadcastChannel(name) as BroadcastLike);
}

/** An error as it passes between tabs: a class would not survive. */
interface PlainError {
  readonly code: string;
  readonly message: string;
}

type SharedStatus = Partial<Omit<Status, "error">> & { readonly error?: PlainError | null };

/** From a tab to the leader. */
type Request =
  | { readonly kind: "hello" }
  | {
      readonly kind: "follow";
      readonly reader: number;
      readonly channel: string;
      readonly after: string | undefined;
      readonly presence: boolean;
    }
  | { readonly kind: "unfollow"; readonly reader: number }
  | { readonly kind: "gone" }
  | { readonly kind: "reconnect" };

/** From the leader to all tabs. */
type Notice =
  | { readonly kind: "leader"; readonly status: SharedStatus }
  | { readonly kind: "status"; readonly status: SharedStatus };

/** From the leader to one reader of one tab. */
type Delivery = { readonly to: string; readonly reader: number } & (
  | { readonly kind: "event"; readonly event: AnywireEvent }
  | { readonly kind: "gap"; readonly gap: Gap }
  | { readonly kind: "position"; readonly cursor: string }
  | { readonly kind: "refused"; readonly error: PlainError }
);

type Message = { readonly from: string } & (Request | Notice | Delivery);

class TabLink implements Link {
  readonly #host: LinkHost;
  readonly #name: string;
  readonly #locks: LocksLike;
  readonly #broadcast: BroadcastLike;
  /** Names this tab. */
  readonly #tab: string;
  /** As a leader: the ladder, the readers of other tabs, and the watches over these tabs. */
  #ladder: LadderLink | null = null;
  readonly #remotes = new Map<string, Map<number, RemoteReader>>();
  #shared: SharedStatus = {};
  #resign: () => void = () => {};
  /** As a follower: who leads, and which readers it has been told of. */
  #leader: string | null = null;
  readonly #told = new Map<number, Reader>();
  readonly #ids = new WeakMap<Reader, number>();
  #nextId = 1;
  /** Ends waiting for the leader's lock, and this tab's own lock. */
  #candidacy = new AbortController();
  #endOfTab: () => void = () => {};
  #isClosed = false;
  readonly #stopLifecycle: () => void;

  constructor(host: LinkHost, name: string, locks: LocksLike, broadcast: BroadcastLike) {
    this.#host = host;
    this.#name = name;
    this.#locks = locks;
    this.#broadcast = broadcast;
    this.#tab = host.http.environment.randomId();
    broadcast.onmessage = ({ data }) => this.#take(data as Message);
    // Whoever hears of this tab may at once wait for its lock, so it has to be held by then.
    locks.request(`${name}:${this.#tab}`, {}, () => this.#live()).catch(() => this.#alone());
    this.#stopLifecycle = host.http.environment.onLifecycle((event) => {
      if (event === "freeze") this.#stepDown();
      if (event === "resume") this.#stand();
    });
  }

  update(): void {
    if (this.#ladder) return this.#ladder.update();
    if (this.#leader) this.#tell();
  }

  /** A follower publishes over HTTP: its acknowledgement then does not depend on another tab. */
  publish(frame: Readonly<Record<string, unknown>>): Promise<Receipt> | null {
    return this.#ladder?.publish(frame) ?? null;
  }

  reconnect(): void {
    if (this.#ladder) this.#ladder.reconnect();
    else this.#post({ kind: "reconnect" });
  }

  close(): void {
    this.#isClosed = true;
    this.#stopLifecycle();
    this.#stepDown();
    this.#post({ kind: "gone" });
    this.#endOfTab();
    this.#broadcast.close();
    this.#host.report({ state: "closed", transport: null });
  }

  #post(message: Request | Notice | Delivery): void {
    this.#broadcast.postMessage({ from: this.#tab, ...message } satisfies Message);
  }

  // Who leads.

  #live(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#stand();
    return new Promise((resolve) => {
      this.#endOfTab = resolve;
    });
  }

  /** Follows, and leads as soon as nobody else does. */
  #stand(): void {
    this.#candidacy.abort();
    this.#candidacy = new AbortController();
    const { signal } = this.#candidacy;
    this.#host.report({ role: "follower", state: "connecting", transport: null });
    this.#locks
      .request(this.#name, { signal }, () => (signal.aborted ? Promise.resolve() : this.#lead()))
      .catch(() => signal.aborted || this.#alone()); // or it is no longer wanted
    this.#post({ kind: "hello" });
  }

  /**
   * Where a person blocks a site's data the browser has Web Locks and refuses them: each tab then has a
   * connection of its own.
   */
  #alone(): void {
    if (!this.#isClosed && !this.#ladder) void this.#lead();
  }

  /** Holds the lock until the promise ends. */
  #lead(): Promise<void> {
    this.#leader = null;
    this.#told.clear();
    this.#host.report({ role: "leader", state: "idle", transport: null });
    const ladder: LadderLink = new LadderLink({
      ...this.#host,
      report: (change) => {
        if (this.#ladder !== ladder) return; // the last word of one that was given up
        this.#host.report(change);
        this.#share(change);
      },
    });
    this.#ladder = ladder;
    this.#post({ kind: "leader", status: this.#shared });
    ladder.update();
    return new Promise((resolve) => {
      this.#resign = resolve;
    });
  }

  /** Gives the lock to another tab. What the others have got is known to them. */
  #stepDown(): void {
    this.#candidacy.abort();
    this.#leader = null;
    const ladder = this.#ladder;
    if (!ladder) return;
    for (const tab of [...this.#remotes.keys()]) this.#forget(tab);
    this.#ladder = null;
    ladder.close();
    this.#shared = {};
    this.#resign();
  }

  // What a leader does for the others.

  #share(change: Partial<Status>): void {
    const { error, role, ...rest } = change;
    const plain = error === undefined ? {} : { error: error && { code: error.code, message: error.message } };
    this.#shared = { ...this.#shared, ...rest, ...plain };
    this.#post({ kind: "status", status: this.#shared });
  }

  #follow(tab: string, id: number, channel: string, position: Position, presence: boolean): void {
    let readers = this.#remotes.get(tab);
    if (!readers) {
      readers = new Map();
      this.#remotes.set(tab, readers);
      // Granted when that tab is gone, however it went.
      void this.#locks.request(`${this.#name}:${tab}`, {}, () => Promise.resolve(this.#forget(tab)));
    }
    this.#unfollow(tab, id);
    const remote = new RemoteReader(channel, position, presence, (message) =>
      this.#post({ to: tab, reader: id, ...message }),
    );
    readers.set(id, remote);
    this.#host.readers.add(remote);
    remote.announce();
    this.#ladder?.update();
  }

  #unfollow(tab: string, id: number): void {
    const remote = this.#remotes.get(tab)?.get(id);
    if (!remote) return;
    this.#remotes.get(tab)?.delete(id);
    this.#host.readers.remove(remote);
    this.#ladder?.update();
  }

  #forget(tab: string): void {
    for (const id of [...(this.#remotes.get(tab)?.keys() ?? [])]) this.#unfollow(tab, id);
    this.#remotes.delete(tab);
  }

  // What a follower does.

  /** Brings what the leader knows of this tab's readers up to date. */
  #tell(): void {
    const readers = this.#host.readers.all();
    for (const [id, reader] of this.#told) {
      if (readers.includes(reader)) continue;
      this.#told.delete(id);
      this.#post({ kind: "unfollow", reader: id });
    }
    for (const reader of readers) {
      const reader_ = this.#ids.get(reader) ?? this.#nextId++;
      this.#ids.set(reader, reader_);
      if (this.#told.has(reader_)) continue;
      this.#told.set(reader_, reader);
      const { name, presence, position } = reader;
      this.#post({
        kind: "follow",
        reader: reader_,
        channel: name,
        after: formatPosition(position),
        presence,
      });
    }
  }

  #take(message: Message): void {
    if (this.#ladder) return this.#serve(message);
    if (message.kind === "leader") {
      this.#leader = message.from;
      this.#told.clear();
      this.#tell();
    }
    // Word of an older leader may still be under way; where it began a reader is not where this one begins
    // it.
    if (message.from !== this.#leader) return;
    if (message.kind === "leader" || message.kind === "status") this.#adopt(message.status);
    else if (message.kind === "gone") this.#host.report({ state: "reconnecting", transport: null });
    else if ("to" in message && message.to === this.#tab) this.#receive(message);
  }

  #serve(message: Message): void {
    if (message.kind === "hello") this.#post({ kind: "leader", status: this.#shared });
    else if (message.kind === "gone") this.#forget(message.from);
    else if (message.kind === "unfollow") this.#unfollow(message.from, message.reader);
    else if (message.kind === "reconnect") this.#ladder?.reconnect();
    else if (message.kind === "follow") {
      const { from, reader, channel, after, presence } = message;
      this.#follow(from, reader, channel, parseAfter(after), presence);
    }
  }

  #adopt({ error, ...status }: SharedStatus): void {
    const plain = error === undefined ? {} : { error: error && new AnywireError(error.code, error.message) };
    this.#host.report({ ...status, ...plain });
  }

  #receive(message: Delivery): void {
    const { readers } = this.#host;
    const reader = this.#told.get(message.reader);
    if (!reader) return;
    if (message.kind === "event") {
      const cursor = parseCursor(message.event.cursor);
      if (cursor) readers.deliver(cursor.epoch, message.event, [reader]);
    } else if (message.kind === "position") {
      const cursor = parseCursor(message.cursor);
      if (cursor) readers.raise([reader], cursor);
    } else if (message.kind === "gap") {
      const { gap } = message;
      const to = parseCursor(gap.to);
      const lost = { [reader.name]: gap.lost };
      if (to)
        readers.gap({ from: parseCursor(gap.from), to, channels: [reader.name], reason: gap.reason, lost }, [
          reader,
        ]);
    } else {
      readers.refuse(reader.name, new AnywireError(message.error.code, message.error.message));
    }
  }
}

type RemoteMessage =
  | { readonly kind: "event"; readonly event: AnywireEvent }
  | { readonly kind: "gap"; readonly gap: Gap }
  | { readonly kind: "position"; readonly cursor: string }
  | { readonly kind: "refused"; readonly error: PlainError };

/** A reader of another tab. */
class RemoteReader implements Reader {
  readonly name: string;
  readonly presence: boolean;
  version = 0;
  readonly #post: (message: RemoteMessage) => void;
  #position: Position;
  /** The position that the other tab knows. */
  #known: Position;
  #isAnnouncing = false;

  constructor(name: string, position: Position, presence: boolean, post: (message: RemoteMessage) => void) {
    this.name = name;
    this.presence = presence;
    this.#post = post;
    this.#position = position;
    this.#known = position;
  }

  get position(): Position {
    return this.#position;
  }

  /** Moved by an event, it is told with the event; otherwise as soon as what is going on is done. */
  set position(position: Position) {
    this.#position = position;
    this.announce();
  }

  announce(): void {
    if (this.#isAnnouncing || this.#position === this.#known) return;
    this.#isAnnouncing = true;
    queueMicrotask(() => {
      this.#isAnnouncing = false;
      if (this.#position === this.#known || typeof this.#position !== "object") return;
      this.#known = this.#position;
      this.#post({ kind: "position", cursor: formatPosition(this.#position) ?? "" });
    });
  }

  takeEvent(event: AnywireEvent): void {
    this.#known = this.#position;
    this.#post({ kind: "event", event });
  }

  takeGap(gap: Gap): void {
    this.#known = this.#position;
    this.#post({ kind: "gap", gap });
  }

  takeRefusal({ code, message }: AnywireError): void {
    this.#post({ kind: "refused", error: { code, message } });
  }

  close(): void {}
}
