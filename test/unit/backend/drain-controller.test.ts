import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { BackendStatus } from "../../../src/backend/backend-status.ts";
import { DrainController } from "../../../src/backend/drain-controller.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { NoSpaceError } from "../../../src/errors.ts";
import { CHUNK_BYTES } from "../../../src/format/row-record.ts";
import type { DrainRequest, DrainResult } from "../../../src/lsm/drain-request.ts";
import type { LsmStore } from "../../../src/lsm/lsm-store.ts";
import { ChunkPool } from "../../../src/memory/chunk-pool.ts";
import { RowKey } from "../../../src/memory/row-key.ts";
import { WriteBuffer } from "../../../src/memory/write-buffer.ts";

const result: DrainResult = { rows: 1, bytes: 10, deletes: 0 };
const never = new AbortController().signal;

/** A store that drains when told to, and a clock that only waiting moves. */
class FakeStore {
  readonly requests: DrainRequest[] = [];
  readonly settlers: { resolve(done: DrainResult): void; reject(error: unknown): void }[] = [];
  readonly environment = memoryEnvironment();
  drainedBoundary = 0;
  failure: Error | undefined = undefined;
  /** What a blocked thread sees happen: true if the boundary got drained. */
  whileWaiting: (boundary: number) => boolean = () => false;

  drain(request: DrainRequest): Promise<DrainResult> {
    this.requests.push(request);
    return new Promise((resolve, reject) => this.settlers.push({ resolve, reject }));
  }

  waitDrained(boundary: number, timeoutMs: number): boolean {
    if (this.whileWaiting(boundary)) return true;
    this.environment.advance(timeoutMs);
    return false;
  }
}

function setUp(chunks = 16) {
  const pool = new ChunkPool(chunks * CHUNK_BYTES + 65_536);
  const store = new FakeStore();
  const status = new BackendStatus(() => undefined);
  const cold = { isEmpty: false, getSync: () => undefined };
  const owner = {
    generationSealed: (boundary: number) => drains.sealed(boundary),
    exhausted: (): never => assert.fail("exhausted"),
  };
  const buffer: WriteBuffer = new WriteBuffer(pool, cold, owner);
  const drains: DrainController = new DrainController(
    store as unknown as LsmStore,
    buffer,
    status,
    store.environment.clock,
    100,
  );
  const row = new RowKey();
  let count = 0;
  /** Fills up until a record would have to wait. */
  const fill = (until: () => boolean): void => {
    while (!until()) {
      row.words[2] = ++count;
      row.length = 16;
      row.hash = count;
      buffer.reserve(row, 1, 100_000, 100_000, false);
    }
  };
  const press = (): void => fill(() => buffer.isPressed);
  return { store, status, buffer, drains, fill, press };
}

describe("a full write buffer", () => {
  test("blocks the record until the drain under way has made room", () => {
    const { store, buffer, drains, press } = setUp();
    press();
    assert.ok(store.requests.length >= 1, "sealed generations are drained early");
    store.whileWaiting = (boundary) => {
      store.drainedBoundary = boundary;
      return true;
    };
    drains.relieve();
    assert.equal(buffer.isPressed, false);
    assert.equal(drains.backPressureWaits, 1);
  });

  test("refuses the record when no drain ends within ten seconds, and changes nothing", () => {
    const { store, status, buffer, drains, press } = setUp();
    press();
    const before = [buffer.index.count, buffer.ledger.ownedCount, buffer.ledger.drained];
    assert.throws(() => drains.relieve(), { code: "VARVE_BACK_PRESSURE", retriable: true });
    assert.equal(store.environment.clock.monotonicMs(), 10_000);
    assert.equal(drains.backPressureWaitMs, 10_000);
    assert.deepEqual([buffer.index.count, buffer.ledger.ownedCount, buffer.ledger.drained], before);
    assert.equal(status.isOpen, true);
    store.whileWaiting = (boundary) => {
      store.drainedBoundary = boundary;
      return true;
    };
    drains.relieve();
    assert.equal(buffer.isPressed, false);
  });

  test("poisons when the drain failed, known before any promise rejects", () => {
    const { store, status, drains, press } = setUp();
    press();
    store.whileWaiting = () => {
      store.failure = new NoSpaceError("full");
      return false;
    };
    assert.throws(() => drains.relieve(), { code: "VARVE_POISONED" });
    assert.equal(status.isOpen, false);
    assert.equal((status.signal.reason as { cause?: unknown }).cause, store.failure);
  });
});

describe("drained", () => {
  test("resolves at once while there is room", async () => {
    const { store, drains } = setUp();
    await drains.drained(never);
    assert.equal(store.requests.length, 0);
  });

  test("resolves when the drains it needs have ended", async () => {
    const { store, buffer, drains, fill } = setUp();
    fill(() => drains.needsDrain);
    const done = drains.drained(never);
    while (drains.needsDrain) {
      assert.ok(store.settlers.length > 0, "a drain is under way");
      store.drainedBoundary =
        store.requests[store.requests.length - store.settlers.length]!.boundary;
      store.settlers.shift()!.resolve(result);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    assert.ok(buffer.ledger.undrainedCount * 2 <= buffer.pool.quota);
  });

  test("rejects with the signal's reason, and with the poison's error", async () => {
    const { store, status, drains, fill } = setUp();
    fill(() => drains.needsDrain);
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = drains.drained(controller.signal);
    controller.abort(reason);
    await assert.rejects(waiting, (error) => error === reason);
    const poisoned = drains.drained(never);
    for (const settler of store.settlers) settler.reject(new NoSpaceError("full"));
    await assert.rejects(poisoned, { code: "VARVE_POISONED" });
    assert.equal(status.isOpen, false);
  });
});

describe("drains", () => {
  test("run one at a time; what is sealed meanwhile goes together, each generation once", async () => {
    const { store, buffer, drains, fill } = setUp(24);
    const generations: number[] = [];
    for (let round = 0; round < 6; round++) {
      const before = buffer.ledger.active;
      fill(() => buffer.ledger.active > before);
      generations.push(before);
    }
    assert.equal(store.requests.length, 1);
    store.drainedBoundary = store.requests[0]!.boundary;
    store.settlers.shift()!.resolve(result);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(store.requests.length, 2);
    const drained = store.requests.flatMap(({ chunks }) => chunks.map((chunk) => chunk.generation));
    assert.deepEqual([...new Set(drained)], generations);
    const chunks = store.requests.flatMap((request) => request.chunks.map(({ chunk }) => chunk));
    assert.equal(new Set(chunks).size, chunks.length, "no chunk twice");
    assert.equal(store.requests[1]!.changeNumberBase, 100);
    assert.equal(drains.drains, 1);
  });
});
