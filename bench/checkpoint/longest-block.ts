// The longest time for which the main thread did not come back to its loop.
import { closeSync, openSync, readSync } from "node:fs";

export interface Watched<R> {
  readonly result: R;
  /** By the clock: what a record would have waited. */
  readonly longestMs: number;
  /** Longest without the time for which the thread was ready and had no core. */
  readonly longestOnCoreMs: number;
  readonly elapsedMs: number;
}

/** How long the main thread waited for a core in all, as the Linux scheduler counts it. */
class CoreWaits {
  readonly #file: number = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  readonly #text: Buffer = Buffer.alloc(128);

  /** Makes no garbage: collecting it would be part of what is measured. */
  milliseconds(): number {
    const length = readSync(this.#file, this.#text, 0, this.#text.length, 0);
    let at = this.#text.indexOf(32) + 1;
    let nanoseconds = 0;
    for (; at < length; at++) {
      const digit = this.#text[at]! - 48;
      if (digit < 0 || digit > 9) break;
      nanoseconds = nanoseconds * 10 + digit;
    }
    return nanoseconds / 1e6;
  }

  close(): void {
    closeSync(this.#file);
  }
}

export async function watched<R>(body: () => Promise<R>): Promise<Watched<R>> {
  // What the loop had to do before counts for nothing.
  await new Promise((resolve) => setImmediate(resolve));
  const waits = new CoreWaits();
  const start = performance.now();
  let last = start;
  let lastWaits = waits.milliseconds();
  let longestMs = 0;
  let longestOnCoreMs = 0;
  let isDone = false;
  const look = (): void => {
    const now = performance.now();
    const waited = waits.milliseconds();
    longestMs = Math.max(longestMs, now - last);
    longestOnCoreMs = Math.max(longestOnCoreMs, now - last - (waited - lastWaits));
    last = now;
    lastWaits = waited;
  };
  const tick = (): void => {
    if (isDone) return;
    look();
    setImmediate(tick);
  };
  setImmediate(tick);
  try {
    const result = await body();
    look();
    return { result, longestMs, longestOnCoreMs, elapsedMs: last - start };
  } finally {
    isDone = true;
    waits.close();
  }
}
