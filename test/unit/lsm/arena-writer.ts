// A small writer of arena records, as memory/ does it: one index, generations, supersession stamps.
import assert from "node:assert/strict";
import {
  CHUNK_BYTES,
  CHUNK_UNITS,
  RECORD_HEADER_UNITS,
  ROW_HEADER_SHIFT,
  RecordFlag,
  recordUnits,
} from "../../../src/format/row-record.ts";
import type { SealedChunk } from "../../../src/format/sealed-rows.ts";

export class ArenaWriter {
  readonly arena: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #newest = new Map<string, number>();
  readonly #sealed: SealedChunk[] = [];
  #chunk = 1;
  #unit = 0;
  generation = 1;

  constructor(chunks: number) {
    this.arena = new SharedArrayBuffer(chunks * CHUNK_BYTES);
    this.#words = new Int32Array(this.arena);
    this.#bytes = Buffer.from(this.arena);
  }

  put(key: Uint8Array, row: Uint8Array, flags = 0): void {
    this.#supersede(key);
    this.#newest.set(hex(key), this.#record(key, row[0]!, row.subarray(1), flags));
  }

  remove(key: Uint8Array): void {
    this.#supersede(key);
    this.#newest.set(hex(key), this.#record(key, 0, new Uint8Array(0), RecordFlag.tombstone));
  }

  /** Blind: what is below, in the arena or in the database, stays as it is. */
  append(key: Uint8Array, elements: Uint8Array): void {
    const value = Buffer.concat([new Uint8Array(8), elements]);
    this.#newest.set(hex(key), this.#record(key, 0, value, RecordFlag.append));
  }

  /** Ends the generation. Returns it: a boundary. */
  seal(): number {
    this.#closeChunk();
    return this.generation++;
  }

  /** Chunks of generations after `drained` up to `boundary`. */
  chunks(drained: number, boundary: number): SealedChunk[] {
    return this.#sealed.filter((c) => c.generation > drained && c.generation <= boundary);
  }

  #supersede(key: Uint8Array): void {
    const old = this.#newest.get(hex(key));
    if (old !== undefined) Atomics.store(this.#words, old * 2 + 3, this.generation);
  }

  #record(key: Uint8Array, header: number, payload: Uint8Array, flags: number): number {
    const slack = payload.length % 3 === 0 ? 8 : 0;
    const units = recordUnits(key.length, payload.length + slack);
    if (this.#unit + units > CHUNK_UNITS) this.#closeChunk();
    const reference = this.#chunk * CHUNK_UNITS + this.#unit;
    const keyUnits = (key.length + 7) >>> 3;
    const capacity = (units - RECORD_HEADER_UNITS - keyUnits) * 8;
    this.#unit += units;
    this.#words[reference * 2 + 1] = key.length | (header << ROW_HEADER_SHIFT) | flags;
    this.#words[reference * 2 + 2] = (units << 16) | (capacity - payload.length);
    this.#words[reference * 2 + 3] = 0;
    const keyAt = (reference + RECORD_HEADER_UNITS) * 8;
    this.#bytes.fill(0, keyAt, keyAt + keyUnits * 8);
    this.#bytes.set(key, keyAt);
    this.#bytes.fill(0xee, keyAt + keyUnits * 8, (reference + units) * 8); // Slack holds anything.
    this.#bytes.set(payload, keyAt + keyUnits * 8);
    return reference;
  }

  #closeChunk(): void {
    if (this.#unit === 0) return;
    this.#sealed.push({
      chunk: this.#chunk,
      generation: this.generation,
      usedUnits: this.#unit,
    });
    this.#chunk++;
    this.#unit = 0;
    assert.ok((this.#chunk + 1) * CHUNK_BYTES <= this.arena.byteLength, "the test's arena is full");
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
