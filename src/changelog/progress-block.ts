// Words through which the owner of a write buffer sees what of it is appended without a turn of its
// event loop: the hard stop waits on them.
//   P1. Only the append thread writes. A boundary is noted once its batch is written.
//   P2. Each change is followed by a step of `changes` and a notify: a waiter that read `changes`
//       first misses nothing.

const Word = { appended: 0, changes: 1, isFailed: 2 } as const;
const WORDS = 3;

export class ProgressBlock {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Newest generation boundary that is appended; 0 before the first. */
  get appended(): number {
    return Atomics.load(this.#words, Word.appended);
  }

  /** An append failed: there is nothing to wait for. */
  get isFailed(): boolean {
    return Atomics.load(this.#words, Word.isFailed) !== 0;
  }

  note(boundary: number): void {
    this.#change(Word.appended, boundary);
  }

  fail(): void {
    this.#change(Word.isFailed, 1);
  }

  /** To be read before a condition and passed to `wait` if the condition does not hold. */
  get changes(): number {
    return Atomics.load(this.#words, Word.changes);
  }

  /** Blocks the thread until something changed since `changes` was read, or `timeoutMs` passed. */
  wait(changes: number, timeoutMs: number): void {
    Atomics.wait(this.#words, Word.changes, changes, timeoutMs);
  }

  #change(word: number, value: number): void {
    Atomics.store(this.#words, word, value);
    Atomics.add(this.#words, Word.changes, 1);
    Atomics.notify(this.#words, Word.changes);
  }
}
