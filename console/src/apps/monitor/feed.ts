/**
 * Where samples come from at the moment: polls, or a channel of the live connection. Never both.
 */
import type { Live, LiveEvent } from "@/shared/live";
import { sampleUrl } from "./api";
import { isBrief, type Mode } from "./modes";
import { type PollAnswer, Poller } from "./poller";
import type { Sample } from "./wire";

export interface Source {
  source: string;
  status: string;
}

export interface FeedOptions {
  follow: Live["follow"];
  fetch: typeof fetch;
  /** Of a stream there is no `text`: its numbers are values already. */
  onSample: (sample: Sample, text: string, from: Source) => void;
  onBrief: (time: string, values: unknown[], from: Source) => void;
  /** The server has nothing newer. */
  onNothing: (from: Source) => void;
  /** The stream has lost samples for good. */
  onMissed: () => void;
  onFailure: (message: string, status: number) => void;
}

export interface Wish {
  mode: Mode;
  /** Null for the server itself. */
  host: string | null;
  channel: string;
  /** Where a stream goes on; polls need none. */
  cursor: string | undefined;
}

export class Feed {
  readonly #options: FeedOptions;
  #poller: Poller | null = null;
  #unfollow: (() => void) | null = null;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  open(wish: Wish): void {
    this.close();
    if (wish.mode.kind === "poll") this.#poll(wish);
    else this.#stream(wish);
  }

  close(): void {
    this.#poller?.stop();
    this.#poller = null;
    this.#unfollow?.();
    this.#unfollow = null;
  }

  pollNow(): void {
    void this.#poller?.poll();
  }

  #poll({ mode, host }: Wish): void {
    const url = sampleUrl(host);
    const { fetch, onFailure } = this.#options;
    const onAnswer = ({ sample, status, text }: PollAnswer) => {
      const from = { source: url, status: status === 304 ? "304 Not Modified" : "200 OK" };
      if (sample) this.#options.onSample(sample, text, from);
      else this.#options.onNothing(from);
    };
    this.#poller = new Poller({ url, everyMs: mode.everyMs, fetch, onAnswer, onFailure });
    this.#poller.start();
  }

  #stream({ mode, channel, cursor }: Wish): void {
    const brief = isBrief(mode);
    const onEvent = (event: LiveEvent) => {
      const from = { source: event.channel, status: event.event };
      if (brief) this.#options.onBrief(event.time, event.data as unknown[], from);
      else this.#options.onSample(event.data as Sample, "", from);
    };
    // Of the brief stream only the newest is kept: it comes at once.
    const [name, after] = brief ? [`${channel}:5s`, "0"] : [channel, cursor];
    this.#unfollow = this.#options.follow({ channel: name, after, onEvent, onGap: this.#options.onMissed });
  }
}
