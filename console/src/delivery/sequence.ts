/**
 * The proof counter: what a follower of numbered events got, against what was published.
 *
 * Invariants:
 * - a number counts as `received` once, at its first arrival; later arrivals are `repeated`;
 * - a hole below the highest arrival is `missing` until it is filled: on an ordered channel nothing may
 *   overtake, so a hole is loss the moment it is seen;
 * - a number that fills a hole came `outOfOrder`;
 * - numbers acknowledged to the publisher but above the highest arrival are `onTheWay`, until
 *   {@link SequenceCounter.settle} says that nothing more can come: then they are `missing` too.
 */
export interface SequenceCounts {
  published: number;
  received: number;
  missing: number;
  repeated: number;
  outOfOrder: number;
  onTheWay: number;
  highest: number;
}

export class SequenceCounter {
  #published = 0;
  #received = 0;
  #repeated = 0;
  #outOfOrder = 0;
  #highest = 0;
  #settled = false;
  readonly #holes = new Set<number>();

  /** The publisher has the server's word for all numbers up to `sequence`. */
  acknowledge(sequence: number): void {
    this.#published = Math.max(this.#published, sequence);
    this.#settled = false;
  }

  receive(sequence: number): void {
    if (!Number.isSafeInteger(sequence) || sequence < 1) return;
    if (sequence > this.#highest) {
      for (let hole = this.#highest + 1; hole < sequence; hole += 1) this.#holes.add(hole);
      this.#highest = sequence;
      this.#received += 1;
    } else if (this.#holes.delete(sequence)) {
      this.#outOfOrder += 1;
      this.#received += 1;
    } else {
      this.#repeated += 1;
    }
  }

  /** Declares that everything published must have arrived by now. */
  settle(): void {
    this.#settled = true;
  }

  get counts(): SequenceCounts {
    const above = Math.max(0, this.#published - this.#highest);
    return {
      published: this.#published,
      received: this.#received,
      missing: this.#holes.size + (this.#settled ? above : 0),
      repeated: this.#repeated,
      outOfOrder: this.#outOfOrder,
      onTheWay: this.#settled ? 0 : above,
      highest: this.#highest,
    };
  }
}
