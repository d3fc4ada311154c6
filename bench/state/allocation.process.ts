// Child process, started with --expose-gc: bytes that hot numeric updates leave on the heap.
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PerformanceObserver } from "node:perf_hooks";
import { MIB, fileSystemStorage, i64, openKeyedStateBackend } from "../../src/index.ts";
import { serve } from "../support/child.ts";
import { shuffled } from "../support/sequences.ts";

export interface Allocation {
  readonly bytesPerUpdate: number;
  /** The same loop without the calls. */
  readonly floorBytesPerUpdate: number;
  readonly updates: number;
  /** Growth of memory outside the heap (external and array buffers). */
  readonly externalBytes: number;
  readonly collections: number;
}

const updates = 10_000_000;
const keyCount = 500_000;

/** Makes `updates` calls of `body`; what the heap grew by in all, between collections if any. */
function heapGrowth(body: (first: number, end: number) => void): number {
  globalThis.gc?.();
  const step = 1_000_000;
  let grown = 0;
  let before = process.memoryUsage().heapUsed;
  for (let first = 0; first < updates; first += step) {
    body(first, first + step);
    const after = process.memoryUsage().heapUsed;
    grown += Math.max(0, after - before);
    before = after;
  }
  return grown;
}

let collections = 0;
let isObserving = false;

function observeCollections(): void {
  const observer = new PerformanceObserver((list) => {
    if (isObserving) collections += list.getEntries().length;
  });
  observer.observe({ entryTypes: ["gc"] });
}

async function measure(directory: string): Promise<Allocation> {
  const backend = await openKeyedStateBackend({
    workingDirectory: join(directory, "working"),
    checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
    restore: "latest-or-new",
    memoryBudgetBytes: 512 * MIB,
  });
  const state = backend.valueState({ name: "value", value: i64 });
  const keys = shuffled(keyCount, 0, 42);
  let touched = 0;
  const update = (first: number, end: number): void => {
    for (let i = first; i < end; i++) {
      backend.setCurrentKey(keys[i % keyCount]!);
      state.update((state.value() ?? 0) + 1);
    }
  };
  const nothing = (first: number, end: number): void => {
    for (let i = first; i < end; i++) touched += keys[i % keyCount]! & 1;
  };
  for (let warmUp = 0; warmUp < 5; warmUp++) update(0, 1_000_000);
  for (let warmUp = 0; warmUp < 2; warmUp++) heapGrowth(nothing);
  heapGrowth(update);
  await delay(500);
  const floor = heapGrowth(nothing);
  observeCollections();
  await delay(50);
  isObserving = true;
  const external = process.memoryUsage();
  const grown = heapGrowth(update);
  const after = process.memoryUsage();
  await delay(50);
  isObserving = false;
  await backend.close();
  return {
    bytesPerUpdate: grown / updates,
    floorBytesPerUpdate: floor / updates,
    updates: touched === 0 ? 0 : updates,
    externalBytes: after.external - external.external,
    // The collection at the start was asked for.
    collections: Math.max(0, collections - 1),
  };
}

serve({ measure }, () => undefined);
