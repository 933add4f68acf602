/**
 * WebSocket (PROTOCOL.md section 8): one socket, subscriptions come and go on it, publications go over it
 * too.
 *
 * ```
 * channel:  wanted ─ subscribe sent ─► asked ─ subscribed ─► active ─ unsubscribe sent ─► gone
 *              ▲                         │ error               │ a reader came that stands lower
 *              └── each alone ◄──────────┘                     └─► gone, then wanted
 * ```
 *
 * Invariant: only what comes for an active channel counts. Between `subscribe` and `subscribed` frames of an
 * older subscription to the same channel may be under way, and they would move a reader over what it still
 * needs.
 */
import { Alarm } from "../alarm.js";
import { formatCursor, formatPosition, type Position, parseCursor } from "../cursor.js";
import type { SocketLike } from "../environment.js";
import { AnywireError, remedyFor } from "../errors.js";
import {
  type Fields,
  parseFields,
  positive,
  type Receipt,
  readEvent,
  readGap,
  readReceipt,
  text,
} from "../protocol.js";
import { channelsOf, covers, group, type Reader } from "../readers.js";
import { seed } from "./poll.js";
import { Transport } from "./transport.js";

/** A channel as the server knows it on this socket. */
interface Wire {
  /**
   * Id of the `subscribe` that asked for it; channels with the same one are delivered in the log's order
   * together.
   */
  readonly id: number;
  readonly version: number;
  readonly after: Position;
  isActive: boolean;
}

interface Waiting {
  resolve(receipt: Receipt): void;
  reject(error: AnywireError): void;
}

const SUBPROTOCOL = "anywire.v1";
const OPEN = 1;
/** Acknowledgements are for people to look at; one a second is plenty. */
const ACK_PAUSE_MS = 1000;

export class WebSocketTransport extends Transport {
  override readonly name = "websocket";
  #socket: SocketLike | null = null;
  readonly #wires = new Map<string, Wire>();
  /** `subscribe` requests without an answer: their channels. */
  readonly #asked = new Map<number, readonly string[]>();
  readonly #publications = new Map<number, Waiting>();
  #nextId = 1;
  #epoch = "";
  #pingSentAt: number | null = null;
  readonly #ackAlarm = new Alarm(this.environment);
  #isSyncing = false;
  #isConnected = false;

  override open(): void {
    this.watch(this.host.policy.openTimeoutMs);
    this.#connect().catch((error) => this.failFor(error, "refused"));
  }

  async #connect(): Promise<void> {
    const { http, client } = this.host;
    const { WebSocket } = http.environment;
    const token = await http.token.get();
    if (this.isOver || !WebSocket) return; // without one the policy leaves this transport out
    const socket = new WebSocket(http.url("ws", { client }).replace(/^http/, "ws"), [
      SUBPROTOCOL,
    ]) as SocketLike;
    this.#socket = socket;
    socket.onopen = () => {
      this.#isConnected = true;
      if (token !== null) this.#send({ op: "auth", id: this.#nextId++, token });
      this.#ping();
      void this.#sync();
    };
    socket.onmessage = ({ data }) => this.#take(parseFields(data));
    socket.onerror = () => {}; // `onclose` follows and says more
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  override update(): void {
    void this.#sync();
  }

  override check(): void {
    this.#pingSentAt = null;
    this.#ping();
    this.watch(this.host.policy.openTimeoutMs);
  }

  override publish(frame: Fields): Promise<Receipt> | null {
    if (!this.isOpened || this.#socket?.readyState !== OPEN) return null;
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#publications.set(id, { resolve, reject });
      this.#send({ op: "publish", id, ...frame });
      this.watch(this.host.policy.requestTimeoutMs);
    });
  }

  protected override teardown(): void {
    const socket = this.#socket;
    this.#ackAlarm.clear();
    for (const { reject } of this.#publications.values()) {
      reject(new AnywireError("unreachable", "closed"));
    }
    this.#publications.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (socket.readyState <= OPEN) socket.close(1000);
  }

  #send(frame: Fields): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #ping(): void {
    if (this.#pingSentAt !== null) return;
    this.#pingSentAt = this.environment.now();
    this.#send({ op: "ping", id: this.#nextId++ });
  }

  #closed(code: number, reason: string): void {
    const error = (name: string) => new AnywireError(name, `closed: ${code} ${reason}`);
    if (code === 4001) this.fail("token", error("unauthorized"));
    else if (code === 4029) this.fail("busy", error("too_many_connections"));
    else if (code === 1012) this.fail("goodbye", error("shutting_down"));
    else this.failFor(error("unreachable"), this.#isConnected ? "early" : "refused");
  }

  /** Brings what the server knows into line with the readers. */
  async #sync(): Promise<void> {
    if (this.#isSyncing || this.#socket?.readyState !== OPEN) return;
    const { readers } = this.host;
    this.#isSyncing = true;
    // A channel can be subscribed once on a socket, so readers that begin in different ways are brought to
    // cursors by polls. Should that fail, the wire begins where the furthest back of them needs it.
    const wanted = this.#wanted();
    if (group(wanted).length > 1) await seed(this.host, wanted).catch(() => {});
    this.#isSyncing = false;
    const gone = [...this.#wires].filter(
      ([channel, { version }]) => readers.all([channel]).length === 0 || readers.outgrew(channel, version),
    );
    if (gone.length > 0) this.#unsubscribe(gone.map(([channel]) => channel));
    this.#subscribeAll(this.#wanted());
  }

  /** Readers of channels that are not on the wire, or began too late. */
  #wanted(): Reader[] {
    const { readers } = this.host;
    return readers.all(
      readers.channels.filter((name) => readers.outgrew(name, this.#wires.get(name)?.version ?? -1)),
    );
  }

  /** One `subscribe` for all that begin alike. */
  #subscribeAll(readers: readonly Reader[]): void {
    for (const presence of [true, false]) {
      const alike = readers.filter((reader) => this.#isMember(reader) === presence);
      for (const one of group(alike)) this.#subscribe(channelsOf(one.readers), one.after, presence);
    }
  }

  /** Membership belongs to a channel: one reader that wants it is enough. */
  #isMember({ name }: Reader): boolean {
    return this.host.readers.all([name]).some((reader) => reader.presence);
  }

  #unsubscribe(channels: string[]): void {
    for (const channel of channels) this.#wires.delete(channel);
    this.#send({ op: "unsubscribe", id: this.#nextId++, channels });
  }

  #subscribe(channels: readonly string[], after: Position, presence: boolean): void {
    const id = this.#nextId++;
    const { version } = this.host.readers;
    const fresh = channels.filter((channel) => !this.#wires.has(channel));
    for (const channel of fresh) this.#wires.set(channel, { id, version, after, isActive: false });
    if (fresh.length === 0) return;
    this.#asked.set(id, fresh);
    const from = formatPosition(after);
    this.#send({
      op: "subscribe",
      id,
      channels: fresh,
      ...(from === undefined ? {} : { after: from }),
      ...(presence ? { presence } : {}),
    });
  }

  #take(frame: Fields): void {
    this.touch();
    switch (frame.op) {
      case "event":
        return this.#event(frame);
      case "heartbeat":
        return this.#heartbeat(frame);
      case "subscribed":
        return this.#subscribed(frame);
      case "gap":
        return this.#gap(frame);
      case "published":
        return this.#published(frame);
      case "pong":
        return this.#pong();
      case "authorized":
        return this.host.http.token.accepted();
      case "goodbye":
        return this.goodbye(frame);
      case "error":
        return this.#error(frame);
    }
  }

  /** The readers that this socket serves, of the channels that match. */
  #served(matches: (wire: Wire) => boolean): Reader[] {
    return [...this.#wires].flatMap(([channel, wire]) =>
      wire.isActive && matches(wire) ? this.host.readers.all([channel], wire.version) : [],
    );
  }

  #event(frame: Fields): void {
    const event = readEvent(frame);
    const wire = event && this.#wires.get(event.channel);
    if (!event || !wire?.isActive) return;
    // Channels of one `subscribe` come in the log's order, so a quiet one need not stay behind a busy one.
    const alike = this.#served((other) => other.id === wire.id);
    this.takeEvent(this.#epoch, event, alike);
    this.takeCursor({ epoch: this.#epoch, offset: event.offset }, alike);
    if (!this.#ackAlarm.isSet) this.#ackAlarm.set(ACK_PAUSE_MS, () => this.#acknowledge());
  }

  #acknowledge(): void {
    this.#send({ op: "ack", cursor: formatCursor({ epoch: this.#epoch, offset: this.progress }) });
  }

  #heartbeat(frame: Fields): void {
    const cursor = parseCursor(frame.cursor);
    if (cursor)
      this.takeCursor(
        cursor,
        this.#served(() => true),
      );
    this.#ping();
  }

  #subscribed(frame: Fields): void {
    const { host } = this;
    const id = Number(frame.id);
    const cursor = parseCursor(frame.cursor);
    const channels = this.#asked.get(id) ?? [];
    this.#asked.delete(id);
    host.heartbeatMs = positive(frame.heartbeat_ms) ?? host.heartbeatMs;
    if (cursor) this.#epoch = cursor.epoch;
    for (const channel of channels) {
      const wire = this.#wires.get(channel);
      if (wire?.id !== id) continue; // unsubscribed since, or asked for anew
      wire.isActive = true;
      if (wire.after === "tail" && cursor) this.#startAtTail(channel, wire, cursor);
    }
    this.#settle();
    if (cursor) this.takeCursor(cursor, []);
  }

  /**
   * Another transport may have found the tail earlier. Then this wire begins too late and is asked for anew.
   */
  #startAtTail(channel: string, wire: Wire, cursor: { epoch: string; offset: number }): void {
    const served = this.host.readers.all([channel], wire.version);
    this.host.readers.start(served, cursor);
    if (served.every((reader) => covers(cursor, reader.position))) return;
    this.#unsubscribe([channel]);
    void this.#sync();
  }

  /** Delivers as soon as nothing is asked for any more. */
  #settle(): void {
    if (this.#asked.size > 0) return;
    this.setOpened();
    this.#relax();
  }

  /** An answer came: from here on silence is judged by the heartbeat, unless another answer is owed. */
  #relax(): void {
    if (this.isOpened && this.#publications.size === 0) this.watch(2 * this.host.heartbeatMs);
  }

  #gap(frame: Fields): void {
    const gap = readGap(frame);
    if (!gap) return;
    this.#epoch = gap.to.epoch;
    const asked = gap.channels.filter((channel) => this.#wires.has(channel));
    this.takeGap(gap, this.host.readers.all(asked));
  }

  #published(frame: Fields): void {
    const id = Number(frame.id);
    this.#publications.get(id)?.resolve(readReceipt(frame));
    this.#publications.delete(id);
    this.#relax();
  }

  #pong(): void {
    if (this.#pingSentAt !== null) this.host.report({ latency: this.environment.now() - this.#pingSentAt });
    this.#pingSentAt = null;
    this.#relax();
  }

  #error(frame: Fields): void {
    const id = Number(frame.id ?? Number.NaN);
    const error = new AnywireError(text(frame.code), text(frame.message), positive(frame.retry_ms));
    const publication = this.#publications.get(id);
    const channels = this.#asked.get(id);
    if (publication) {
      this.#publications.delete(id);
      publication.reject(error);
    } else if (error.code === "token_expired") {
      this.#renew(error);
    } else if (remedyFor(error) !== "rejected") {
      this.failFor(error, "early");
    } else if (channels) {
      this.#asked.delete(id);
      this.#refused(id, channels, error);
    }
  }

  /** `subscribe` is all or nothing: each channel is asked for alone, to find the one that is refused. */
  #refused(id: number, channels: readonly string[], error: AnywireError): void {
    const mine = channels.filter((channel) => this.#wires.get(channel)?.id === id);
    for (const channel of mine) this.#wires.delete(channel);
    const [only, ...others] = mine;
    if (only !== undefined && others.length === 0) {
      this.host.readers.refuse(only, error);
    } else {
      for (const channel of mine) this.#subscribeAll(this.host.readers.all([channel]));
    }
    if (!this.isOver) this.#settle();
  }

  /** The token runs out in seconds: a new one goes over the same socket, and delivery does not stop. */
  #renew(error: AnywireError): void {
    const { token } = this.host.http;
    try {
      token.refused(error);
    } catch {
      return; // none is to be had: the server closes with 4001 when the time is up
    }
    token.get().then(
      (next) => next !== null && this.#send({ op: "auth", id: this.#nextId++, token: next }),
      () => {}, // as above
    );
  }
}
