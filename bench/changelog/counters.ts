// A counter for each of many numbers, read, incremented and written back: the smallest record that a
// job can have.
import { mkdir } from "node:fs/promises";
import {
  type CompletedCheckpoint,
  type KeyedStateBackend,
  type ValueState,
  f64,
} from "../../src/index.ts";
import { type SubjectOptions, openBackend } from "./subject.ts";

/** Of a counter: row key, and stored row with its header byte. */
export const counterKeyBytes = 16;
export const counterValueBytes = 9;

export class Counters {
  readonly backend: KeyedStateBackend;
  readonly #state: ValueState<number>;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  completed = 0;

  private constructor(backend: KeyedStateBackend) {
    this.backend = backend;
    this.#state = backend.valueState({ name: "count", value: f64 });
  }

  /** With a counter of 0 for each number below `count`, all of them in a first checkpoint. */
  static async open(directory: string, count: number, options: SubjectOptions): Promise<Counters> {
    await mkdir(directory);
    const counters = new Counters(await openBackend(directory, "latest-or-new", options));
    for (let key = 0; key < count; key++) {
      counters.backend.setCurrentKey(key);
      counters.#state.update(0);
      if (counters.backend.needsDrain) await counters.backend.drained();
    }
    await counters.backend.checkpoint();
    return counters;
  }

  increment(key: number): void {
    this.backend.setCurrentKey(key);
    this.#state.update((this.#state.value() ?? 0) + 1);
  }

  get isCheckpointing(): boolean {
    return this.#running !== undefined;
  }

  /** Begins a checkpoint unless one is under way, and lets records go on. */
  beginCheckpoint(ended: (checkpoint: CompletedCheckpoint) => void = () => undefined): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#running ??= this.backend
      .checkpoint()
      .then(
        (checkpoint) => {
          this.completed++;
          ended(checkpoint);
        },
        (error: Error) => void (this.#failure = error),
      )
      .finally(() => (this.#running = undefined));
  }

  /** Resolves when no checkpoint is under way. */
  async quiet(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
