// Events of a stream: keys by popularity, exponential gaps, some of them out of order.
import { shuffled, xorshift32, zipfNumbers } from "../support/sequences.ts";

export type Popularity = "zipf 0.99" | "uniform";

const meanGapMs = 1;
/** Share of events that come late, and by how much at most. */
const lateShare = 0.02;
const lateAtMostMs = 3;
const drawnKeys = 1_000_000;

export class Events {
  readonly #keys: Int32Array;
  #x = 51;
  #at = 0;
  #clockMs = 0;
  /** Of the event that `next` went to. */
  key = 0;
  timeMs = 0;
  value = 0;
  /** Which of two inputs it comes from. */
  isLeft = true;
  /** No later event is older. */
  watermarkMs = 0;

  /** So many keys are drawn; then the same ones come again. */
  constructor(keyCount: number, popularity: Popularity, draws: number = drawnKeys) {
    this.#keys =
      popularity === "uniform" ? shuffled(keyCount, 0, 42) : zipfNumbers(keyCount, draws, 0.99, 50);
  }

  next(): void {
    this.key = this.#keys[this.#at]!;
    if (++this.#at === this.#keys.length) this.#at = 0;
    this.#clockMs += -meanGapMs * Math.log(1 - this.#uniform());
    const now = Math.floor(this.#clockMs);
    const isLate = this.#uniform() < lateShare;
    this.timeMs = isLate ? Math.max(0, now - 1 - Math.floor(this.#uniform() * lateAtMostMs)) : now;
    this.value = 1 + Math.floor(this.#uniform() * 1000);
    this.isLeft = this.#uniform() < 0.5;
    this.watermarkMs = now - 1 - lateAtMostMs;
  }

  #uniform(): number {
    this.#x = xorshift32(this.#x);
    return (this.#x >>> 0) / 2 ** 32;
  }
}
