// An open loop: records come at a fixed rate whether or not the subject keeps up, and the latency of
// each counts from when it was to start. So a stall counts for every record that it holds up.

/** Counts of latencies in buckets that are at most 1/64 wide, from 0.1 µs to 200 s. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(64 * 27);
  count = 0;
  maxMs = 0;

  record(ms: number): void {
    const units = Math.max(0, Math.min(2 ** 31 - 1, Math.floor(ms * 1e4)));
    this.#counts[bucketOf(units)]!++;
    this.count++;
    if (ms > this.maxMs) this.maxMs = ms;
  }

  /** Nearest rank, as the upper end of its bucket, in ms. NaN without any. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent / 100) * this.count));
    let met = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      met += this.#counts[bucket]!;
      if (met >= rank) return Math.min(this.maxMs, endOf(bucket) / 1e4);
    }
    return Number.NaN;
  }
}

/** Below 64 each value has its own; above, each power of two has 64. */
function bucketOf(units: number): number {
  const exponent = 31 - Math.clz32(units);
  return exponent < 6 ? units : 64 * (exponent - 6) + (units >>> (exponent - 6));
}

function endOf(bucket: number): number {
  if (bucket < 64) return bucket + 1;
  const shift = Math.floor(bucket / 64) - 1;
  return ((bucket % 64) + 64 + 1) * 2 ** shift;
}

/** What latencies are recorded in. */
export interface LatencySink {
  record(ms: number): void;
}

export interface OpenLoop {
  readonly recordsPerMs: number;
  readonly durationMs: number;
  /** Processes record number `i`. */
  readonly process: (i: number) => void;
  /** Between two slices of records, in a turn of its own. What it awaits holds records up. */
  readonly between: () => Promise<void>;
  /** Which histogram the records of a piece go to: they were to start at `intendedMs`, and are done. */
  readonly histogramOf: (intendedMs: number, doneMs: number) => LatencySink;
  /** Milliseconds that never go back. @defaultValue performance.now */
  readonly now?: (() => number) | undefined;
}

const recordsPerPiece = 16;
const sliceMs = 2;

/** Resolves when all records are processed. */
export async function runOpenLoop(loop: OpenLoop): Promise<void> {
  const { recordsPerMs, durationMs, histogramOf, process, between } = loop;
  const now = loop.now ?? (() => performance.now());
  const total = Math.floor(recordsPerMs * durationMs);
  const start = now();
  for (let done = 0; done < total;) {
    const sliceStart = now();
    const due = Math.min(total, Math.floor((sliceStart - start) * recordsPerMs) + 1);
    for (let doneMs = sliceStart; done < due && doneMs - sliceStart < sliceMs;) {
      const first = done;
      const stop = Math.min(due, done + recordsPerPiece);
      while (done < stop) process(done++);
      doneMs = now();
      const histogram = histogramOf(start + first / recordsPerMs, doneMs);
      for (let i = first; i < stop; i++) histogram.record(doneMs - start - i / recordsPerMs);
    }
    await between();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Records a millisecond when each comes as soon as the one before is done, with the same slices. */
export async function closedLoopRate(
  durationMs: number,
  process: (i: number) => void,
  between: () => Promise<void>,
): Promise<number> {
  const start = performance.now();
  let now = start;
  let done = 0;
  const unused = new LatencyHistogram(); // So that a record costs what it costs in the open loop.
  while (now - start < durationMs) {
    for (const sliceStart = now; now - sliceStart < sliceMs;) {
      const first = now;
      for (const stop = done + recordsPerPiece; done < stop;) process(done++);
      now = performance.now();
      for (let i = 0; i < recordsPerPiece; i++) unused.record(now - first);
    }
    await between();
    await new Promise((resolve) => setImmediate(resolve));
    now = performance.now();
  }
  return done / (now - start);
}
