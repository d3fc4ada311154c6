import { setMaxListeners } from "node:events";

/**
 * Runs `work` on every item, at most `limit` at a time. After a failure or an abort nothing new
 * begins, and what is under way is awaited: once this has rejected, nothing runs any more. `work`
 * gets a signal that aborts as soon as anything fails.
 */
export async function runBounded<T>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  setMaxListeners(0, stop.signal); // One per piece of work under way: bounded by `limit`.
  const onAbort = (): void => stop.abort(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", onAbort, { once: true });
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !stop.signal.aborted) {
      const item = items[next++]!;
      try {
        await work(item, stop.signal);
      } catch (error) {
        stop.abort(error); // The first failure is the reason; later ones follow from it.
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
    stop.signal.throwIfAborted();
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
