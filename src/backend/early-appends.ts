// When a generation is sealed and appended ahead of the checkpoint. Small ones leave little to write at
// the cut; but a row that changes again after it was appended is appended again. So the size grows
// while much of what was appended since the last checkpoint has changed again, and shrinks while little has.
// Where it is so large that nothing is appended ahead, little is known: it is tried again now and then.
import { CHUNK_BYTES } from "../format/row-record.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";

/** Share of the appended bytes that changed again, above which the size doubles, and below which it halves. */
const WASTE_MAX = 1 / 8;
const WASTE_MIN = 1 / 32;
/** Checkpoints without an early append after which the size halves. */
const IDLE_CUTS_MAX = 64;
/** As the write buffer's own: a generation of an eighth of the quota is sealed in any case. */
const QUOTA_SHIFT = 3;

export class EarlyAppends {
  readonly #buffer: WriteBuffer;
  readonly #chunksMin: number;
  #boundary = 0;
  #wasteAtMost = 0;
  #hasSealed = false;
  #idleCuts = 0;

  constructor(buffer: WriteBuffer, bytesMin: number) {
    this.#buffer = buffer;
    this.#chunksMin = Math.max(1, Math.floor(bytesMin / CHUNK_BYTES));
    buffer.sealChunksMax = this.#chunksMin;
  }

  /** A generation was sealed by its size. */
  sealed(): void {
    this.#hasSealed = true;
    const waste = this.#waste();
    this.#wasteAtMost = Math.max(this.#wasteAtMost, waste);
    if (waste > WASTE_MAX) this.#resize(2);
  }

  /** A checkpoint was cut at this boundary. */
  cut(boundary: number): void {
    this.#idleCuts = this.#hasSealed ? 0 : this.#idleCuts + 1;
    const isSmall = this.#hasSealed && this.#wasteAtMost < WASTE_MIN;
    if (isSmall || this.#idleCuts >= IDLE_CUTS_MAX) {
      this.#resize(1 / 2);
      this.#idleCuts = 0;
    }
    this.#boundary = boundary;
    this.#wasteAtMost = 0;
    this.#hasSealed = false;
  }

  #resize(factor: number): void {
    const { pool, sealChunksMax } = this.#buffer;
    const chunks = Math.min(pool.quota >> QUOTA_SHIFT, Math.floor(sealChunksMax * factor));
    this.#buffer.sealChunksMax = Math.max(this.#chunksMin, chunks);
  }

  /** Share of what was sealed since the last checkpoint that has been superseded since. */
  #waste(): number {
    const { ledger } = this.#buffer;
    let used = 0;
    let live = 0;
    for (const { chunk, usedUnits } of ledger.extents(this.#boundary, ledger.active - 1)) {
      used += usedUnits;
      live += ledger.liveUnits[chunk]!;
    }
    return used === 0 ? 0 : 1 - live / used;
  }
}
