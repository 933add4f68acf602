/**
 * Connection: what the application holds. Channels on one side, a link to the server on the other.
 */
import { Alarm } from "./alarm.js";
import { Channel, type EventMap } from "./channel.js";
import { parseAfter } from "./cursor.js";
import { type Environment, platform } from "./environment.js";
import { AnywireError } from "./errors.js";
import { fieldsOf, Http } from "./http.js";
import type { Link, LinkFactory } from "./link.js";
import { defaultPolicy, type Policy, type TransportName } from "./policy.js";
import { type Presence, type Publication, type Receipt, readPresence, writePublication } from "./protocol.js";
import { Publisher, type PublishOptions } from "./publisher.js";
import { Readers } from "./readers.js";
import { firstStatus, type Status } from "./status.js";
import { Token, type TokenSource } from "./token.js";

/**
 * Channels by name, each with its events: `{ news: { created: Article } }`. Patterns work:
 * `{ [progress: `progress_${string}`]: … }`.
 */
export type ChannelMap = object;
/** Without a map every channel may be named, and data is `unknown`. */
export type UntypedChannels = Record<string, Record<string, unknown>>;
export type ChannelName<Channels extends ChannelMap> = keyof Channels & string;
export type EventsOf<Channels extends ChannelMap, Name extends ChannelName<Channels>> = Channels[Name] &
  EventMap;

export interface ConnectOptions {
  /** A JWT or API key, or a function that gets a fresh one whenever the server asks. */
  readonly token?: TokenSource;
  /** Names this client in presence and on the Delivery page. Default: random. */
  readonly client?: string;
  /** Shorthand for `policy.transports`. */
  readonly transports?: readonly TransportName[];
  /** Order and patience, see {@link Policy}; a preset such as `fiveTriesThenPoll` goes here. */
  readonly policy?: Partial<Policy>;
  /** Parts of the platform to replace: `{ WebSocket }` in Node 20, everything in a test. */
  readonly environment?: Partial<Environment>;
}

export interface ChannelOptions {
  /** A cursor, `"0"` for the oldest kept event, or nothing for new events only. */
  readonly after?: string | undefined;
  /** Be listed in the channel's presence, where the channel has it. */
  readonly presence?: boolean;
}

/** Every event changes the status; listeners hear of that at most this often. */
const EVENT_NOTICE_MS = 250;

export class Connection<Channels extends ChannelMap = UntypedChannels> {
  readonly #environment: Environment;
  readonly #http: Http;
  readonly #readers: Readers;
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #statusHandlers = new Set<(status: Status) => void>();
  #status: Status = firstStatus;
  readonly #notice: Alarm;
  #isUpdating = false;

  /** @internal Use `connect()`. */
  constructor(url: string, options: ConnectOptions, makeLink: LinkFactory) {
    const environment = platform(options.environment);
    const policy = makePolicy(options, environment);
    this.#environment = environment;
    this.#notice = new Alarm(environment);
    this.#http = new Http(url, environment, new Token(options.token));
    this.#readers = new Readers((isGap) => this.#observe(isGap));
    this.#publisher = new Publisher(this.#http, policy, () => this.#link);
    this.#link = makeLink({
      http: this.#http,
      policy,
      readers: this.#readers,
      client: options.client ?? environment.randomId(),
      isClientNamed: options.client !== undefined,
      heartbeatMs: policy.heartbeatMs,
      report: (change) => this.#report(change),
    });
  }

  /**
   * Follows a channel. Every call is a subscription of its own, with its own start and handlers; they share
   * the wire.
   *
   * Throws `invalid_channel`, `invalid_cursor`, `closed`.
   */
  channel<Name extends ChannelName<Channels>>(
    name: Name,
    { after, presence = false }: ChannelOptions = {},
  ): Channel<EventsOf<Channels, Name>> {
    if (this.#status.state === "closed") throw new AnywireError("closed", "closed");
    checkChannel(name);
    const position = parseAfter(after);
    const channel: Channel<EventsOf<Channels, Name>> = new Channel(
      name,
      position,
      presence,
      this.#environment,
      () => {
        this.#readers.remove(channel);
        this.#update();
      },
    );
    this.#readers.add(channel);
    this.#update();
    return channel;
  }

  /**
   * Appends one event; resolves when it is committed. Retries with the same idempotency key until
   * `timeoutMs`.
   *
   * Rejects with an {@link AnywireError}: `timeout`, `aborted`, `closed`, or the server's refusal.
   */
  publish<Name extends ChannelName<Channels>, Event extends keyof EventsOf<Channels, Name> & string>(
    channel: Name,
    event: Event,
    data: EventsOf<Channels, Name>[Event],
    options?: PublishOptions,
  ): Promise<Receipt> {
    return this.#publisher.send(writePublication({ channel, event, data }), options);
  }

  /** Appends several events, all or none, with rising offsets. */
  publishBatch(publications: readonly Publication[], options?: PublishOptions): Promise<Receipt> {
    return this.#publisher.send({ events: publications.map(writePublication) }, options);
  }

  /** Who is on a channel. Follow `$presence:<channel>` after its cursor to stay up to date. */
  async presence(channel: ChannelName<Channels>): Promise<Presence> {
    const { requestTimeoutMs: timeoutMs } = defaultPolicy;
    const request = { path: "presence", query: { channel }, timeoutMs } as const;
    return readPresence(await this.#http.request(request, fieldsOf));
  }

  /** The same object until something changes. */
  status(): Status {
    return this.#status;
  }

  /** Calls back on every change, at most four times a second for mere events. The answer stops it. */
  onStatus(handler: (status: Status) => void): () => void {
    this.#statusHandlers.add(handler);
    return () => this.#statusHandlers.delete(handler);
  }

  /** Tries at once and from the best transport on; also the way out of `failed`. */
  reconnect(): void {
    this.#link.reconnect();
  }

  /** Ends everything. Publications without an acknowledgement are rejected with `closed`. */
  close(): void {
    if (this.#status.state === "closed") return;
    this.#link.close();
    this.#publisher.close();
    for (const reader of this.#readers.all()) reader.close();
    this.#notice.clear();
  }

  /** Once for all channels that come and go in one go, so that they share a request. */
  #update(): void {
    if (this.#isUpdating) return;
    this.#isUpdating = true;
    queueMicrotask(() => {
      this.#isUpdating = false;
      this.#link.update();
    });
  }

  #observe(isGap: boolean): void {
    const { gaps } = this.#status;
    if (isGap) return this.#report({ gaps: gaps + 1 });
    this.#status = { ...this.#status, lastEventAt: this.#environment.now() };
    if (!this.#notice.isSet) this.#notice.set(EVENT_NOTICE_MS, () => this.#report({}));
  }

  #report(change: Partial<Status>): void {
    if (this.#status.state === "closed") return;
    this.#notice.clear();
    this.#status = { ...this.#status, ...change };
    for (const handler of [...this.#statusHandlers]) handler(this.#status);
  }
}

function makePolicy({ policy, transports }: ConnectOptions, { WebSocket }: Environment): Policy {
  const made = { ...defaultPolicy, ...policy, ...(transports && { transports }) };
  const usable = made.transports.filter((name) => name !== "websocket" || WebSocket);
  if (usable.length === 0)
    throw new AnywireError("invalid_request", `no WebSocket here: "${made.transports}"`);
  return { ...made, transports: usable };
}

/** PROTOCOL.md section 1, but for the length. Checked here so that the mistake shows where it was made. */
function checkChannel(name: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/^[^\s,\u0000-\u001f\u007f-\u009f]+$/.test(name)) return;
  throw new AnywireError("invalid_channel", `channel "${name}" has spaces, control characters or ","`);
}
