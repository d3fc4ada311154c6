import { type KeyedStateBackend, i64 } from "../../src/index.ts";

/** One partition's share of what a Kafka client hands to its batch callback. */
export interface Batch {
  readonly partition: number;
  readonly messages: readonly { readonly offset: number; readonly key: string }[];
}

/** What the loop needs of a client. */
export interface Consumer {
  seek(partition: number, offset: number): void;
  /** Calls back for batches, of several partitions at a time; resolves once stopped. */
  run(eachBatch: (batch: Batch, isRunning: () => boolean) => Promise<void>): Promise<void>;
  /** No further batches; resolves when the running callbacks have returned. */
  stop(): Promise<void>;
}

export async function consume(
  consumer: Consumer,
  backend: KeyedStateBackend,
  stop: AbortSignal,
  intervalMs: number,
): Promise<void> {
  const count = backend.valueState({ name: "count", value: i64 });

  // Where to go on: the offsets of the restored checkpoint, never those the broker has committed.
  const next = new Map<number, number>();
  const restored = backend.restored?.metadata as { offsets?: Record<string, number> } | undefined;
  for (const [partition, offset] of Object.entries(restored?.offsets ?? {})) {
    next.set(Number(partition), offset);
    consumer.seek(Number(partition), offset);
  }

  // Offsets and cut in one turn: a record is in both or in neither.
  const checkpoint = (): Promise<unknown> =>
    backend.checkpoint({ offsets: Object.fromEntries(next) });
  let isCheckpointing = false;
  const tick = (): void => {
    if (isCheckpointing) return; // A second one would only wait its turn.
    isCheckpointing = true;
    checkpoint()
      .catch(onAborted)
      .finally(() => (isCheckpointing = false));
  };

  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    void consumer.stop();
  };
  const timer = setInterval(tick, intervalMs);
  const onAborted = (error: Error & { code?: string }): void => {
    // One checkpoint was aborted, and the next may succeed. Everything else ends the loop.
    if (error.code !== "VARVE_CHECKPOINT_ABORTED") fail(error);
  };
  backend.signal.addEventListener("abort", () => fail(backend.signal.reason as Error));
  const onStop = (): void => void consumer.stop();
  stop.addEventListener("abort", onStop);

  try {
    await consumer.run(async ({ partition, messages }, isRunning) => {
      for (const { offset, key } of messages) {
        if (!isRunning() || stop.aborted) return; // The rest is delivered again after a restart.
        if (offset < (next.get(partition) ?? 0)) continue; // Fetched before the seek took effect.
        // Await only here, between records: state and offset of one record change together.
        if (backend.needsDrain) await backend.drained({ signal: backend.signal });
        backend.withKey(key, () => count.update((count.value() ?? 0) + 1));
        next.set(partition, offset + 1);
      }
    });
    if (failure !== undefined) throw failure;
    await checkpoint(); // Fetching has stopped: the last checkpoint holds everything processed.
  } finally {
    clearInterval(timer);
    stop.removeEventListener("abort", onStop);
  }
}
