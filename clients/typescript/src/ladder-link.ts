/**
 * Ladder link: holds a transport, opens the next one when it fails, and tries better ones beside it.
 *
 * ```
 * idle ─ channel ─► opening ─ opened ─► live ─ probe timer ─► live + candidate ─ caught up ─► live on it
 *   ▲                  ▲   │ failed         │ failed                  └─ failed ─► next candidate, or live
 *   │ no channel       │   ▼                ▼
 *   └──(any)           │  judging ◄─────────┘    a plain request tells an outage from a blocked transport
 *                      │   │
 *                      └───┴─► waiting (back-off, Retry-After) ─ time, online, wake ─► opening
 *
 * any ─ freeze ─► paused ─ resume ─► opening        any ─ fatal error ─► failed        any ─ close ─► closed
 * ```
 *
 * Invariant: at most two transports are open, and the second one only while it is tried. Both deliver to the
 * same readers, each from the positions at its opening, so nothing is lost whichever is closed.
 */
import { Alarm } from "./alarm.js";
import type { Environment } from "./environment.js";
import { AnywireError, asError, remedyFor } from "./errors.js";
import {
  backoffMs,
  climbed,
  failed,
  firstLadder,
  type Ladder,
  lived,
  needsProof,
  opened,
  probed,
  probeMs,
  refreshed,
} from "./ladder.js";
import type { Link, LinkHost } from "./link.js";
import { jittered, type Policy, type TransportName } from "./policy.js";
import type { Fields, Receipt } from "./protocol.js";
import { group, highest, type Readers } from "./readers.js";
import type { State } from "./status.js";
import { PollTransport, poll } from "./transports/poll.js";
import { SseTransport } from "./transports/sse.js";
import type { Failure, Transport, TransportOwner } from "./transports/transport.js";
import { WebSocketTransport } from "./transports/websocket.js";

type Phase = "idle" | "opening" | "live" | "judging" | "waiting" | "paused" | "failed" | "closed";

/** Timers of a sleeping machine stand still; one that comes this much too late means that it slept. */
const TICK_MS = 5000;
const SLEEP_MS = 15_000;
/** The request itself is wrong, whichever channels it names. */
const FATAL = ["origin_forbidden", "host_forbidden", "not_found", "token_unavailable"];

export class LadderLink implements Link, TransportOwner {
  readonly #host: LinkHost;
  readonly #environment: Environment;
  readonly #policy: Policy;
  readonly #readers: Readers;
  #phase: Phase = "idle";
  #ladder: Ladder = firstLadder();
  #current: Transport | null = null;
  #openedAt = 0;
  #hasBeenLive = false;
  #reconnects = 0;
  /** A better transport that is being tried, its rung, and how far it has to come to take over. */
  #candidate: Transport | null = null;
  #candidateRung = 0;
  #target = 0;
  /** Pause before the next attempt. */
  readonly #retryAlarm: Alarm;
  /** Next probe; while a candidate delivers: the end of the overlap. */
  readonly #probeAlarm: Alarm;
  readonly #tickAlarm: Alarm;
  /** Raised when what an asynchronous judgement was about is no longer so. */
  #turn = 0;
  readonly #stopLifecycle: () => void;

  constructor(host: LinkHost) {
    this.#host = host;
    this.#environment = host.http.environment;
    this.#policy = host.policy;
    this.#readers = host.readers;
    this.#retryAlarm = new Alarm(this.#environment);
    this.#probeAlarm = new Alarm(this.#environment);
    this.#tickAlarm = new Alarm(this.#environment);
    this.#stopLifecycle = this.#environment.onLifecycle((event) => {
      if (event === "freeze") this.#pause();
      else if (event === "offline") this.#wentOffline();
      else this.#woke(event !== "visible");
    });
  }

  update(): void {
    if (this.#phase === "closed" || this.#phase === "failed" || this.#phase === "paused") return;
    if (this.#readers.channels.length === 0) return this.#idle();
    if (this.#phase === "idle") return this.#open();
    this.#current?.update();
    this.#candidate?.update();
  }

  publish(frame: Fields): Promise<Receipt> | null {
    return this.#current?.publish(frame) ?? null;
  }

  reconnect(): void {
    if (this.#phase === "closed") return;
    this.#drop();
    this.#host.http.token.accepted();
    this.#ladder = firstLadder();
    this.#phase = "idle";
    this.update();
  }

  close(): void {
    this.#drop();
    this.#phase = "closed";
    this.#stopLifecycle();
    this.#host.report({ state: "closed", transport: null });
  }

  // What the transports tell.

  opened(transport: Transport): void {
    if (transport === this.#candidate) return this.#overlap();
    if (transport !== this.#current) return;
    this.#ladder = opened(this.#ladder);
    this.#goLive(this.#hasBeenLive);
  }

  failed(transport: Transport, failure: Failure): void {
    if (transport === this.#candidate) return this.#probe(this.#candidateRung + 1);
    if (transport !== this.#current) return;
    if (this.#candidate?.isOpened) return this.#adopt();
    this.#stopProbing();
    this.#current = null;
    const livedMs = transport.isOpened ? this.#environment.now() - this.#openedAt : 0;
    this.#ladder = lived(this.#ladder, this.#policy, livedMs);
    void this.#judge(failure, livedMs);
  }

  advanced(transport: Transport): void {
    if (transport === this.#candidate && transport.isOpened && transport.progress >= this.#target)
      this.#adopt();
  }

  // Opening and failing.

  #open(): void {
    this.#phase = "opening";
    this.#turn += 1;
    this.#retryAlarm.clear();
    this.#tick();
    this.#current = this.#make(this.#ladder.rung);
    this.#host.report({
      state: this.#trying(),
      transport: this.#current.name,
      attempt: this.#ladder.attempts,
      retryAt: null,
    });
    this.#current.open();
  }

  #trying(): State {
    if (!this.#environment.online()) return "offline";
    return this.#hasBeenLive ? "reconnecting" : "connecting";
  }

  #make(rung: number): Transport {
    const name: TransportName = this.#policy.transports[rung] ?? "poll";
    if (name === "websocket") return new WebSocketTransport(this, this.#host);
    return name === "sse" ? new SseTransport(this, this.#host) : new PollTransport(this, this.#host, name);
  }

  #goLive(isReconnect: boolean): void {
    this.#phase = "live";
    this.#openedAt = this.#environment.now();
    this.#hasBeenLive = true;
    if (isReconnect) this.#reconnects += 1;
    this.#host.report({
      state: "live",
      transport: this.#current?.name ?? null,
      attempt: 0,
      retryAt: null,
      error: null,
      reconnects: this.#reconnects,
    });
    this.#scheduleProbe();
  }

  /** Finds out what a failure means and does what follows from it. */
  async #judge(failure: Failure, livedMs: number): Promise<void> {
    const { kind, error } = failure;
    const turn = ++this.#turn;
    this.#phase = "judging";
    this.#host.report({ state: this.#trying(), error });
    if (kind === "token") return this.#newToken(error);
    if (kind === "rejected") return this.#isolate(error, turn);
    let reachable: boolean | null = null;
    if (needsProof(this.#ladder, this.#policy, kind, livedMs)) {
      const answer = await this.#ask();
      if (turn !== this.#turn) return;
      const remedy = answer && remedyFor(answer);
      // Where polling is blocked the server itself says so: it is there.
      reachable = !answer || remedy === "blocked";
      // The server answers, and wants something else than to be asked again.
      if (remedy && remedy !== "network" && !reachable)
        return this.#judge({ kind: remedy, error: answer }, livedMs);
    }
    const verdict = failed(this.#ladder, this.#policy, kind, reachable);
    this.#ladder = verdict.ladder;
    if (this.#ladder.attempts >= this.#policy.maxAttempts) {
      this.#giveUp(new AnywireError("gave_up", `${this.#ladder.attempts} attempts: ${error.message}`));
    } else if (verdict.now) this.#open();
    else this.#wait(error.retryAfterMs);
  }

  /** Asks plainly for these readers; what comes is delivered. Null, or what went wrong. */
  async #ask(channels?: string[]): Promise<AnywireError | null> {
    try {
      for (const one of group(this.#readers.all(channels))) await poll(this.#host, one, 0);
      return null;
    } catch (error) {
      return asError(error);
    }
  }

  #newToken(error: AnywireError): void {
    try {
      this.#host.http.token.refused(error);
    } catch (cause) {
      return this.#giveUp(cause as AnywireError);
    }
    this.#open();
  }

  /** The request is wrong. If one channel of several is the reason, the others go on without it. */
  async #isolate(error: AnywireError, turn: number): Promise<void> {
    const channels = this.#readers.channels;
    if (FATAL.includes(error.code)) return this.#giveUp(error);
    let refusals = 0;
    for (const channel of channels) {
      const verdict = channels.length === 1 ? error : await this.#ask([channel]);
      if (turn !== this.#turn) return;
      if (!verdict || remedyFor(verdict) !== "rejected") continue;
      refusals += 1;
      this.#readers.refuse(channel, verdict);
    }
    if (refusals === 0) return this.#giveUp(error);
    if (this.#readers.channels.length === 0) this.#idle();
    else this.#open();
  }

  #wait(retryAfterMs: number | null): void {
    this.#phase = "waiting";
    const pauseMs =
      retryAfterMs ?? jittered(this.#policy, this.#environment, backoffMs(this.#ladder, this.#policy));
    this.#retryAlarm.set(pauseMs, () => this.#open());
    this.#host.report({
      state: this.#trying(),
      attempt: this.#ladder.attempts,
      retryAt: this.#environment.now() + pauseMs,
    });
  }

  #giveUp(error: AnywireError): void {
    this.#drop();
    this.#phase = "failed";
    this.#host.report({ state: "failed", transport: null, error, retryAt: null });
  }

  #idle(): void {
    if (this.#phase === "idle") return;
    this.#drop();
    this.#phase = "idle";
    this.#hasBeenLive = false;
    this.#host.report({ state: "idle", transport: null, attempt: 0, retryAt: null, error: null });
  }

  /** Closes whatever is open and stops every timer. */
  #drop(): void {
    this.#turn += 1;
    const current = this.#current;
    this.#current = null;
    current?.close();
    this.#stopProbing();
    this.#retryAlarm.clear();
    this.#tickAlarm.clear();
  }

  // Climbing.

  #scheduleProbe(): void {
    this.#probeAlarm.clear();
    const pauseMs = probeMs(this.#ladder, this.#policy);
    if (pauseMs !== null) this.#probeAlarm.set(pauseMs, () => this.#probe(0));
  }

  /**
   * Tries the transport on this rung beside the current one; on the current rung or below it there is nothing
   * to gain.
   */
  #probe(rung: number): void {
    this.#stopProbing();
    if (this.#phase !== "live") return;
    if (rung >= this.#ladder.rung) {
      this.#ladder = probed(this.#ladder);
      return this.#scheduleProbe();
    }
    this.#candidateRung = rung;
    this.#target = highest(this.#readers.all())?.offset ?? 0;
    this.#candidate = this.#make(rung);
    this.#candidate.open();
  }

  /**
   * The candidate delivers. It takes over once it has come as far as the other was, or after a while: nothing
   * is lost by that.
   */
  #overlap(): void {
    this.#probeAlarm.set(this.#policy.overlapMs, () => this.#adopt());
    if (this.#candidate) this.advanced(this.#candidate);
  }

  #adopt(): void {
    const old = this.#current;
    if (!this.#candidate) return;
    this.#current = this.#candidate;
    this.#candidate = null;
    old?.close();
    this.#ladder = climbed(this.#ladder, this.#candidateRung);
    this.#goLive(false);
  }

  #stopProbing(): void {
    this.#probeAlarm.clear();
    const candidate = this.#candidate;
    this.#candidate = null;
    candidate?.close();
  }

  // Page and network.

  #pause(): void {
    if (this.#phase === "closed" || this.#phase === "failed" || this.#phase === "idle") return;
    this.#drop();
    this.#phase = "paused";
    this.#host.report({ state: "paused", transport: null, retryAt: null });
  }

  /** Being sure takes an answer: a server on this machine is there without any network. */
  #wentOffline(): void {
    if (this.#phase === "live") this.#current?.check();
    else if (this.#phase === "waiting") this.#host.report({ state: this.#trying() });
  }

  /** Something may have changed while we weren't looking: try at once instead of waiting. */
  #woke(isSure: boolean): void {
    if (this.#phase === "paused") {
      this.#phase = "idle";
      return this.update();
    }
    if (isSure) this.#ladder = refreshed(this.#ladder);
    if (this.#phase === "waiting") return this.#open();
    if (this.#phase !== "live") return;
    if (isSure || (this.#current?.silentMs ?? 0) > this.#host.heartbeatMs) this.#current?.check();
    if (isSure && this.#ladder.rung > 0 && !this.#candidate) this.#probe(0);
  }

  #tick(): void {
    const dueAt = this.#environment.now() + TICK_MS;
    this.#tickAlarm.set(TICK_MS, () => {
      this.#tick();
      if (this.#environment.now() - dueAt > SLEEP_MS) this.#woke(true);
    });
  }
}
