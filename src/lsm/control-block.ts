// A few shared words through which the owner sees the drain thread's progress without a turn of its
// event loop: the hard stop waits on them.
//   C1. Only the drain thread writes, except `closing`, which only the owner writes.
//   C2. Each change is followed by a step of `changes` and a notify, so a waiter that read `changes`
//       first misses nothing.

const Word = { drainedBoundary: 0, failure: 1, closing: 2, changes: 3 } as const;
const WORDS = 4;

export const FailureKind = { none: 0, storage: 1, noSpace: 2 } as const;
export type FailureKind = (typeof FailureKind)[keyof typeof FailureKind];

export class ControlBlock {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  get drainedBoundary(): number {
    return Atomics.load(this.#words, Word.drainedBoundary);
  }

  set drainedBoundary(boundary: number) {
    this.#change(Word.drainedBoundary, boundary);
  }

  get failure(): FailureKind {
    return Atomics.load(this.#words, Word.failure) as FailureKind;
  }

  set failure(kind: FailureKind) {
    this.#change(Word.failure, kind);
  }

  /** The owner closes: a drain stops after the batch in flight. */
  get closing(): boolean {
    return Atomics.load(this.#words, Word.closing) !== 0;
  }

  startClosing(): void {
    this.#change(Word.closing, 1);
  }

  /** To be read before a condition and passed to `waitForChange` if the condition does not hold. */
  get changes(): number {
    return Atomics.load(this.#words, Word.changes);
  }

  /** Blocks the thread until something changed since `changes` was read, or `timeoutMs` passed. */
  waitForChange(changes: number, timeoutMs: number): void {
    Atomics.wait(this.#words, Word.changes, changes, timeoutMs);
  }

  #change(word: number, value: number): void {
    Atomics.store(this.#words, word, value);
    Atomics.add(this.#words, Word.changes, 1);
    Atomics.notify(this.#words, Word.changes);
  }
}
