/** What the tabs of one browser share: locks and broadcast channels. */
import type { BroadcastLike, LocksLike } from "../src/environment.js";
import type { Clock } from "./clock.js";
import type { FakePage } from "./fake-server.js";

interface Claim {
  readonly page: FakePage;
  grant(): void;
}

export class FakeBrowser {
  readonly #clock: Clock;
  readonly #channels = new Set<{ readonly name: string; deliver(message: unknown): void }>();
  readonly #dead = new Set<FakePage>();
  /** By name: the one that holds it comes first. */
  readonly #claims = new Map<string, Claim[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The browser has Web Locks and refuses them, as it does where a person blocks a site's data. */
  refusesLocks = false;

  locksOf(page: FakePage): LocksLike {
    if (this.refusesLocks)
      return { request: () => Promise.reject(new DOMException("denied", "SecurityError")) };
    return {
      request: (name, options, held) =>
        new Promise((resolve, reject) => {
          const claims = this.#claims.get(name) ?? [];
          this.#claims.set(name, claims);
          let isGranted = false;
          const claim: Claim = {
            page,
            grant: () => {
              if (claims[0] !== claim) return;
              isGranted = true;
              void held().then(() => {
                this.#release(name, claim);
                resolve(undefined);
              });
            },
          };
          options.signal?.addEventListener("abort", () => {
            if (isGranted) return; // held locks are not taken away
            this.#release(name, claim);
            reject(new DOMException("aborted", "AbortError"));
          });
          claims.push(claim);
          if (claims[0] === claim) this.#clock.setTimeout(() => claim.grant(), 0);
        }),
    };
  }

  #release(name: string, claim: Claim): void {
    const claims = this.#claims.get(name) ?? [];
    const index = claims.indexOf(claim);
    if (index < 0) return;
    claims.splice(index, 1);
    const next = claims[0];
    if (index === 0 && next) this.#clock.setTimeout(() => next.grant(), 0);
  }

  channel(name: string, page: FakePage): BroadcastLike {
    const channel: BroadcastLike = {
      onmessage: null,
      postMessage: (message) => {
        if (this.#dead.has(page)) return;
        const copy = structuredClone(message);
        for (const other of this.#channels) {
          if (other !== entry && other.name === name) this.#clock.setTimeout(() => other.deliver(copy), 1);
        }
      },
      close: () => this.#channels.delete(entry),
    };
    const entry = {
      name,
      deliver: (data: unknown) => {
        if (this.#channels.has(entry) && !this.#dead.has(page)) channel.onmessage?.({ data });
      },
    };
    this.#channels.add(entry);
    return channel;
  }

  /** The tab is killed: it says nothing more, and the browser frees its locks. */
  crash(page: FakePage): void {
    this.#dead.add(page);
    for (const [name, claims] of this.#claims) {
      for (const claim of claims.filter((one) => one.page === page)) this.#release(name, claim);
    }
  }
}
