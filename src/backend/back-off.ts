// When something that failed in the background is tried again: after a while that doubles.
import type { Clock } from "../api/environment.ts";

/** First pause after a failure, and the longest. */
const PAUSE_MS_MIN = 1000;
const PAUSE_MS_MAX = 60_000;

export class BackOff {
  readonly #clock: Clock;
  #failuresInARow = 0;
  #notBeforeMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get failuresInARow(): number {
    return this.#failuresInARow;
  }

  get isPaused(): boolean {
    return this.#clock.monotonicMs() < this.#notBeforeMs;
  }

  failed(): void {
    this.#failuresInARow++;
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** (this.#failuresInARow - 1));
    this.#notBeforeMs = this.#clock.monotonicMs() + pauseMs;
  }

  /** The pause that began with the last failure goes on. */
  succeeded(): void {
    this.#failuresInARow = 0;
  }
}
