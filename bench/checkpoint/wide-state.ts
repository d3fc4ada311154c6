// A state of wide rows, which loads fast; incompressible.
import { join } from "node:path";
import {
  type KeyedStateBackend,
  type RestoreTarget,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { fillBytes } from "../support/sequences.ts";

export const wideValueBytes = 4000;
/** One in so many rows is rewritten between two checkpoints. */
const changedOneIn = 100;

export class WideState {
  readonly backend: KeyedStateBackend;
  readonly rows: number;
  readonly #state: ValueState<Uint8Array>;
  readonly #value = new Uint8Array(wideValueBytes);
  #version = 0;

  private constructor(backend: KeyedStateBackend, rows: number) {
    this.backend = backend;
    this.rows = rows;
    this.#state = backend.valueState({ name: "wide", value: bytes });
  }

  static async open(
    directory: string,
    working: string,
    stateBytes: number,
    memoryBudgetBytes: number,
    restore: RestoreTarget = "latest-or-new",
  ): Promise<WideState> {
    const backend = await openKeyedStateBackend({
      workingDirectory: join(directory, working),
      checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
      restore,
      memoryBudgetBytes,
      retainedCheckpoints: 1,
    });
    return new WideState(backend, Math.floor(stateBytes / wideValueBytes));
  }

  async load(): Promise<void> {
    for (let key = 0; key < this.rows; key++) await this.#write(key);
  }

  /** Rewrites one row in a hundred, spread over all; others each time. */
  async change(): Promise<void> {
    this.#version++;
    const first = (37 * this.#version) % changedOneIn;
    for (let key = first; key < this.rows; key += changedOneIn) await this.#write(key);
  }

  /** The first record after a restore. */
  readFirst(): void {
    this.backend.setCurrentKey(this.rows >>> 1);
    if (this.#state.value()?.length !== wideValueBytes) throw new Error("a row is lost");
  }

  async #write(key: number): Promise<void> {
    fillBytes(this.#value, key, this.#version);
    this.backend.setCurrentKey(key);
    this.#state.update(this.#value);
    if (this.backend.needsDrain) await this.backend.drained();
  }
}
