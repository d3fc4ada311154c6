// Enumerations of keys that are under way. Each shows the moment of its call and holds on to that, in
// links of table files for one, whether it is ever read or not.
//   E1. At most ENUMERATIONS_MAX are open. One more ends the one that was read least recently: an
//       iterator that was dropped half-way, or never begun, cannot pin its files for good.
//   E2. What an enumeration holds is given back when it is exhausted, fails, is returned, is ended by
//       E1, or the backend closes; also if it was never begun, which a generator alone would not do.
//   E3. One that was ended throws when it is read: it never looks exhausted.
import type { Key } from "../api/state.ts";
import { assert } from "../common/assert.ts";
import { BackPressureError, ClosedError } from "../errors.ts";

export const ENUMERATIONS_MAX = 8;

/** What is enumerated, as of the moment it was made. */
export interface KeySource {
  /** Releases by itself when it ends, fails or is returned, once it has begun. */
  readonly keys: AsyncGenerator<Key, void, void>;
  /** Gives back what it holds, begun or not. Idempotent. Never rejects. */
  readonly release: () => Promise<void>;
}

export class Enumerations {
  readonly #open = new Set<Enumeration>();
  /** What is being given back, whoever asked for it. They never reject. */
  readonly #ending = new Set<Promise<void>>();

  /** Calls `make` at once, unless there are too many. It has to call `released` as it releases. */
  begin(make: (released: () => void) => KeySource): AsyncIterableIterator<Key> {
    if (this.#open.size >= ENUMERATIONS_MAX) {
      if (this.#ending.size >= ENUMERATIONS_MAX) {
        throw new BackPressureError(
          `keys() was called ${2 * ENUMERATIONS_MAX} times before anything was given back: iterate or return one, then repeat the call`,
        );
      }
      const message = `this enumeration was ended: ${ENUMERATIONS_MAX} are open at a time, and it was the one not read for the longest`;
      this.#leastRecentlyRead().end(new ClosedError(message));
    }
    const leave = (): void => void this.#open.delete(enumeration);
    const enumeration = new Enumeration(make(leave), leave, this.#ending);
    this.#open.add(enumeration);
    return enumeration;
  }

  #leastRecentlyRead(): Enumeration {
    const [first, ...others] = this.#open;
    assert(first !== undefined, "E1: none is open");
    return others.reduce((least, one) => (one.lastRead < least.lastRead ? one : least), first);
  }

  /** Ends all that are open and awaits what is given back. Reading them throws `error`. */
  async close(error: Error): Promise<void> {
    for (const enumeration of this.#open) enumeration.end(error);
    await Promise.all(this.#ending);
  }
}

/** Counts reads of all enumerations: the order of the last ones is what E1 asks for. */
let reads = 0;

class Enumeration implements AsyncIterableIterator<Key, void, void> {
  readonly #source: KeySource;
  readonly #leave: () => void;
  readonly #ending: Set<Promise<void>>;
  #refusal: Error | undefined = undefined;
  #finished: Promise<void> | undefined = undefined;
  lastRead: number = ++reads;

  constructor(source: KeySource, leave: () => void, ending: Set<Promise<void>>) {
    this.#source = source;
    this.#leave = leave;
    this.#ending = ending;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Adds no promise to that of the source: there may be millions of keys. */
  next(): Promise<IteratorResult<Key, void>> {
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal); // E3
    this.lastRead = ++reads;
    return this.#source.keys.next();
  }

  async return(): Promise<IteratorResult<Key, void>> {
    await this.#finish();
    return { done: true, value: undefined };
  }

  /** In the background. A read that is under way still gets its key. */
  end(error: Error): void {
    this.#refusal = error;
    void this.#finish().catch(() => undefined); // See #finish: nobody waits for this one.
  }

  /**
   * Rejects if something could not be given back. That lies in the working directory then, which is
   * cleared when it is next opened.
   */
  #finish(): Promise<void> {
    if (this.#finished !== undefined) return this.#finished;
    this.#leave();
    const finished = this.#giveBack();
    this.#finished = finished;
    const settled = finished.catch(() => undefined);
    this.#ending.add(settled);
    void settled.then(() => this.#ending.delete(settled));
    return finished;
  }

  /** E2 */
  async #giveBack(): Promise<void> {
    try {
      await this.#source.keys.return();
    } finally {
      await this.#source.release();
    }
  }
}
