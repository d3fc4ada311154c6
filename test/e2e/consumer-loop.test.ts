// Goal: the loop of docs/consumer-loop.md counts every message exactly once over stops and crashes.
// Method: an in-memory partitioned log that delivers batches of several partitions at a time, in random
// sizes, and forgets nothing; the loop is stopped politely or dropped without a word, and restarted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "vitest";
import { type Batch, type Consumer, consume } from "../../examples/consumer-loop/consumer-loop.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { MIB, fileSystemStorage, i64, openKeyedStateBackend } from "../../src/index.ts";
import type { KeyedStateBackend } from "../../src/index.ts";

const PARTITIONS = 4;
const MESSAGES = 3000;
const KEYS = 97;

class MemoryLog implements Consumer {
  readonly #random: () => number;
  readonly #positions: number[] = Array.from({ length: PARTITIONS }, () => 0);
  readonly #limit: number;
  #isRunning = true;
  delivered = 0;
  onDelivered: (count: number) => void = () => undefined;

  constructor(random: () => number, limit: number) {
    this.#random = random;
    this.#limit = limit;
  }

  seek(partition: number, offset: number): void {
    this.#positions[partition] = offset;
  }

  async run(eachBatch: (batch: Batch, isRunning: () => boolean) => Promise<void>): Promise<void> {
    await Promise.all(
      Array.from({ length: PARTITIONS }, (_none, partition) =>
        this.#partition(partition, eachBatch),
      ),
    );
  }

  async #partition(
    partition: number,
    eachBatch: (batch: Batch, isRunning: () => boolean) => Promise<void>,
  ): Promise<void> {
    while (this.#isRunning && this.#positions[partition]! < MESSAGES) {
      const first = this.#positions[partition]!;
      const count = Math.min(1 + Math.floor(this.#random() * 100), MESSAGES - first);
      const messages = Array.from({ length: count }, (_none, index) => ({
        offset: first + index,
        key: keyOf(partition, first + index),
      }));
      await eachBatch({ partition, messages }, () => this.#isRunning);
      this.#positions[partition] = first + count;
      this.delivered += count;
      this.onDelivered(this.delivered);
      if (this.delivered >= this.#limit) this.#isRunning = false;
      await nextTurn();
    }
  }

  stop(): Promise<void> {
    this.#isRunning = false;
    return Promise.resolve();
  }
}

function keyOf(partition: number, offset: number): string {
  return `key-${(offset * 31 + partition * 17) % KEYS}`;
}

function open(root: string): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    memoryBudgetBytes: 16 * MIB,
    restore: "latest-or-new",
  });
}

function assertExact(backend: KeyedStateBackend): void {
  const expected = new Map<string, number>();
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (let offset = 0; offset < MESSAGES; offset++) {
      const key = keyOf(partition, offset);
      expected.set(key, (expected.get(key) ?? 0) + 1);
    }
  }
  const count = backend.valueState({ name: "count", value: i64 });
  for (const [key, value] of expected) {
    assert.equal(
      backend.withKey(key, () => count.value()),
      value,
      key,
    );
  }
}

describe("the consumer loop", () => {
  test("counts exactly once over a polite stop, a crash and a run to the end", async () => {
    const root = await mkdtemp(join(tmpdir(), "varve-loop-"));
    const random = seededRandom(7);
    try {
      const polite = await open(root);
      const stop = new AbortController();
      const first = new MemoryLog(random, Infinity);
      first.onDelivered = (count) => count > 2000 && stop.abort();
      await consume(first, polite, stop.signal, 5);
      await polite.close();

      const crashed = await open(root);
      assert.ok(crashed.restored !== undefined, "the polite stop took a checkpoint");
      const second = new MemoryLog(random, Infinity);
      second.onDelivered = (count) => {
        if (count > 3000) throw new Error("crash");
      };
      const never = new AbortController().signal;
      await assert.rejects(consume(second, crashed, never, 5), /crash/);
      await crashed.close(); // Takes no checkpoint: what was counted since the last one is gone.

      const last = await open(root);
      await consume(new MemoryLog(random, Infinity), last, never, 5);
      assertExact(last);
      await last.close();

      const restored = await open(root);
      assertExact(restored);
      await restored.close();
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  }, 60_000);

  test("is the code that docs/consumer-loop.md shows", () => {
    const page = readFileSync("docs/consumer-loop.md", "utf8");
    const code = readFileSync("examples/consumer-loop/consumer-loop.ts", "utf8");
    assert.ok(page.includes(code.trim()), "the page shows another version of the code");
  });
});
