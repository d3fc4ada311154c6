// Bytes that are put together piece by piece in memory that is used again and again: a batch is encoded many
// times a second, and new memory costs more than filling it.
//   W1. Pieces that were handed out hold what they held until `release`.
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { FRAME_RAW_BYTES_MAX, frameBytesMax } from "../format/frame.ts";

/** The first piece is kept. It takes any frame; what of it was never used takes no memory. */
const PIECE_BYTES = frameBytesMax(FRAME_RAW_BYTES_MAX) + MIB;

export class PieceWriter {
  readonly #first = new Uint8Array(PIECE_BYTES);
  /** Before the current one, cut to what they hold. */
  #full: Uint8Array[] = [];
  #current = this.#first;
  #offset = 0;
  #isHandedOut = false;

  /** Room of so many bytes at `offset` of `current`. */
  reserve(bytes: number): void {
    assert(!this.#isHandedOut, "W1: pieces are read, and written to");
    if (this.#offset + bytes <= this.#current.length) return;
    if (this.#offset > 0) this.#full.push(this.#current.subarray(0, this.#offset));
    this.#current = new Uint8Array(Math.max(PIECE_BYTES, bytes));
    this.#offset = 0;
  }

  get current(): Uint8Array {
    return this.#current;
  }

  get offset(): number {
    return this.#offset;
  }

  /** What is before this offset of `current` is written. */
  advanceTo(offset: number): void {
    assert(offset >= this.#offset && offset <= this.#current.length, "a piece goes backwards");
    this.#offset = offset;
  }

  /** Space that is filled later on. */
  skip(bytes: number): Uint8Array {
    this.reserve(bytes);
    const start = this.#offset;
    this.#offset += bytes;
    return this.#current.subarray(start, this.#offset);
  }

  /** All that was written, in its order. */
  handOut(): readonly Uint8Array[] {
    this.#isHandedOut = true;
    return [...this.#full, this.#current.subarray(0, this.#offset)];
  }

  /** What was handed out is not read any more. */
  release(): void {
    this.#isHandedOut = false;
    this.#full = [];
    this.#current = this.#first;
    this.#offset = 0;
  }
}
