// Where logs are replayed to from before there is anything below the write buffer: while the base is
// still being verified, since both want a core and neither needs the other.
//   E1. Until the tier is there nothing can make room: no frame is begun that could take so much that
//       the buffer is pressed, its index grown.
//   E2. Meanwhile the event loop has its turns: in them the pool gets its next tasks.
//   E3. After `stop` no row is put in.
//   E4. Waiting for the tier is told apart: it says nothing of how fast a log is replayed.
import type { Clock, Timers } from "../api/environment.ts";
import { assert } from "../common/assert.ts";
import { ClosedError } from "../errors.ts";
import { CHANGE_BYTES_MIN } from "../format/changelog-rows.ts";
import { FRAME_RAW_BYTES_MAX } from "../format/frame.ts";
import { CHUNK_BYTES } from "../format/row-record.ts";
import { headroomOf } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { RowsTarget } from "./row-restore.ts";

/** A record takes at most four times the bytes of its change; and the chunks that are begun and ended. */
const FRAME_CHUNKS = (4 * FRAME_RAW_BYTES_MAX) / CHUNK_BYTES + 2;
const FRAME_ROWS_MAX = Math.floor(FRAME_RAW_BYTES_MAX / CHANGE_BYTES_MIN);
const TURN_MS = 1;

export interface EarlyTargetOptions {
  readonly buffer: WriteBuffer;
  readonly clock: Clock;
  readonly timers: Timers;
}

export class EarlyTarget implements RowsTarget {
  readonly #options: EarlyTargetOptions;
  /** Resolves when there is a tier, or it was stopped. */
  readonly attached: Promise<void>;
  /** So far. */
  waitedMs = 0;
  #wake: () => void = () => undefined;
  #target: RowsTarget | undefined = undefined;
  #isStopped = false;
  #turnMs = Number.NEGATIVE_INFINITY;

  constructor(options: EarlyTargetOptions) {
    this.#options = options;
    this.attached = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  get buffer(): WriteBuffer {
    return this.#options.buffer;
  }

  /** From now on the tier makes room. */
  attach(target: RowsTarget): void {
    this.#target = target;
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  relieve(): void {
    assert(this.#target !== undefined, "E1: a frame took more room than there was");
    this.#target.relieve();
  }

  async settle(): Promise<void> {
    if (this.#target === undefined) await this.#settleEarly();
    if (this.#isStopped) throw new ClosedError("opening has failed"); // E3
    await this.#target?.settle();
  }

  async #settleEarly(): Promise<void> {
    const { clock, timers } = this.#options;
    if (!this.#hasRoom()) {
      const startMs = clock.monotonicMs();
      await this.attached;
      this.waitedMs += clock.monotonicMs() - startMs; // E4
      return;
    }
    if (clock.monotonicMs() - this.#turnMs < TURN_MS) return;
    await timers.yieldTurn(); // E2
    this.#turnMs = clock.monotonicMs();
  }

  /** E1 */
  #hasRoom(): boolean {
    const { buffer } = this.#options;
    buffer.updatePressure(); // Others of the budget may have come or gone.
    if (buffer.isPressed) return false;
    const { pool, ledger, index } = buffer;
    const indexBytes = index.bytesFor(index.count + FRAME_ROWS_MAX);
    const growth = Math.ceil((indexBytes - index.bytes) / CHUNK_BYTES);
    const own = pool.quota - ledger.undrainedCount;
    const free = Math.floor((pool.capacityBytes - pool.usedBytes) / CHUNK_BYTES);
    const headroom = headroomOf(pool.quota, { bytes: indexBytes, limit: 0 });
    return Math.min(own, free) - growth >= headroom + FRAME_CHUNKS;
  }
}
