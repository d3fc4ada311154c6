import { readFileSync } from "node:fs";
import {
  type KeyedStateBackend,
  type Serializer,
  type ValueState,
  bytes,
} from "../../src/index.ts";
import { fillBytes, fold } from "../support/sequences.ts";
import type { RowsAssignment } from "./cold.ts";
import { keysByGroup } from "./key-groups.ts";
import type { RivalTiming } from "./operations.ts";

const batchCalls = 1000;

/** Rows of incompressible bytes on Varve, most of them not in memory. */
export class ColdRows {
  readonly backend: KeyedStateBackend;
  readonly #state: ValueState<Uint8Array>;
  readonly #assignment: RowsAssignment;
  #draws: Int32Array = new Int32Array();
  #next = 0;

  constructor(backend: KeyedStateBackend, assignment: RowsAssignment) {
    const value: Serializer<Uint8Array> = bytes;
    this.backend = backend;
    this.#state = backend.valueState({ name: "value", value });
    this.#assignment = assignment;
  }

  async load(): Promise<number> {
    const { keys, valueBytes } = this.#assignment;
    const value = new Uint8Array(valueBytes);
    for (const key of keysByGroup(keys)) {
      fillBytes(value, key, 0);
      this.backend.setCurrentKey(key);
      this.#state.update(value);
      if (this.backend.needsDrain) await this.backend.drained();
    }
    return keys;
  }

  draw(path: string): void {
    const file = readFileSync(path);
    this.#draws = new Int32Array(file.buffer, file.byteOffset, file.length / 4);
    this.#next = 0;
  }

  async readModifyWrite(calls: number): Promise<RivalTiming> {
    const start = performance.now();
    let ahead = this.#ahead();
    for (let done = 0; done < calls; done += batchCalls) {
      await ahead;
      for (const key of this.#batch(this.#next)) {
        this.#increment(key);
        if (this.backend.needsDrain) await this.backend.drained();
      }
      this.#next = (this.#next + batchCalls) % this.#draws.length;
      ahead = this.#ahead();
    }
    await ahead;
    return { ops: calls, millis: performance.now() - start };
  }

  /** Reads the rows of the next batch ahead, if it is told to. */
  #ahead(): Promise<void> | undefined {
    if (!this.#assignment.prefetch) return undefined;
    return this.backend.prefetch(this.#batch(this.#next));
  }

  #batch(first: number): Int32Array {
    return this.#draws.subarray(first, first + batchCalls);
  }

  #increment(key: number): void {
    this.backend.setCurrentKey(key);
    const value = this.#state.value();
    if (value === undefined) throw new Error(`key ${key} is lost`);
    const view = new DataView(value.buffer, value.byteOffset, 4);
    view.setUint32(0, view.getUint32(0) + 1);
    this.#state.update(value);
  }

  checksum(every: number): number {
    let folded = 0;
    for (let key = 0; key < this.#assignment.keys; key += every) {
      this.backend.setCurrentKey(key);
      const value = this.#state.value();
      for (let i = 0; i < this.#assignment.valueBytes; i++) folded = fold(folded, value?.[i]);
    }
    return folded;
  }

  close(): Promise<void> {
    return this.backend.close();
  }
}
