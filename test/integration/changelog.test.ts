// Policy "changelog" case by case: what a checkpoint is made of.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, bytes, fileSystemStorage } from "../../src/index.ts";
import type { ChangelogOptions, KeyedStateBackendOptions } from "../../src/index.ts";
import {
  madeBase,
  open,
  read,
  reopened,
  root,
  segmentsIn,
  write,
} from "../support/changelog-backends.ts";
import { failingFiles } from "../support/failing-files.ts";
import { wholeObjects } from "../support/other-storages.ts";

describe("a changelog checkpoint", () => {
  test("is a base, and after that only the log, in one segment", async () => {
    const backend = await open();
    write(backend, 1);
    const first = await backend.checkpoint();
    assert.ok(madeBase(first));
    write(backend, 2, 50);
    const second = await backend.checkpoint();
    write(backend, 3, 90);
    const third = await backend.checkpoint();
    assert.deepEqual(
      [first, second, third].map((one) => one.newFileCount),
      [2, 1, 0],
    );
    assert.equal(second.logBytes > 0 && third.logBytes > second.logBytes, true);
    assert.equal(backend.stats().changelog?.appends, 2);
    const again = await reopened(backend);
    assert.deepEqual(
      [10, 60, 95, 149, 189].map((key) => read(again, key)),
      [
        [1, [1]],
        [2, [1, 2]],
        [3, [1, 2, 3]],
        [3, [2, 3]],
        [3, [3]],
      ],
    );
  });

  test("a caller that never awaits is held up until there is room, also while the threads start", async () => {
    const first = await open({ memoryBudgetBytes: 24 * MIB });
    write(first, 1);
    await first.checkpoint();
    write(first, 2);
    await first.checkpoint();
    const backend = await reopened(first, { memoryBudgetBytes: 24 * MIB });
    write(backend, 3);
    const blob = { name: "blob", value: bytes };
    const blobs = backend.valueState(blob);
    const count = 60_000; // Twice the budget, in the turn in which it was opened.
    for (let key = 0; key < count; key++) {
      backend.withKey(key, () => blobs.update(new Uint8Array(800).fill(key)));
    }
    assert.ok(backend.stats().backPressureWaits > 0);
    await backend.checkpoint();
    const again = await reopened(backend, { memoryBudgetBytes: 24 * MIB });
    for (let key = 0; key < count; key += 7) {
      if (again.needsDrain) await again.drained();
      const found = again.withKey(key, () => again.valueState(blob).value());
      assert.deepEqual([found?.length, found?.at(-1)], [800, key & 255]);
    }
  });

  test("goes on after a restore without a new base", async () => {
    const backend = await open();
    write(backend, 1);
    await backend.checkpoint();
    write(backend, 2);
    await backend.checkpoint();
    const again = await reopened(backend);
    write(again, 3);
    const next = await again.checkpoint();
    assert.equal(madeBase(next), false);
    const twice = await reopened(again);
    assert.deepEqual(read(twice, 99), [3, [1, 2, 3]]);
  });

  test("of nothing new is a checkpoint too", async () => {
    const backend = await open();
    write(backend, 1);
    await backend.checkpoint();
    await backend.checkpoint();
    const last = await backend.checkpoint();
    const again = await reopened(backend);
    assert.equal(again.restored?.checkpointId, last.checkpointId);
    assert.deepEqual(read(again, 0), [1, [1]]);
  });

  test("holds a base from the background, and the segments before it go", async () => {
    const small = { segmentBytes: 65_536, materializationLogBytes: 65_536 };
    const backend = await open({ retainedCheckpoints: 1 }, small);
    let value = 0;
    while ((backend.stats().changelog?.materializations ?? 0) < 3) {
      write(backend, ++value, (value * 37) % 3000, 700);
      await backend.checkpoint();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    let { logBytes } = await backend.checkpoint();
    assert.ok(logBytes < 8 * 65_536, `the log has ${logBytes} bytes`);
    // On a busy machine the log of a base that is being made is longer: until that base is there too.
    while (logBytes >= 2 * 65_536) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      ({ logBytes } = await backend.checkpoint());
    }
    const before = Array.from({ length: 4000 }, (_, key) => read(backend, key));
    const again = await reopened(backend);
    assert.deepEqual(
      Array.from({ length: 4000 }, (_, key) => read(again, key)),
      before,
    );
    const { segments = 0 } = backend.stats().changelog ?? {};
    const left = segmentsIn(join(root, "checkpoints/files")).length;
    assert.ok(left <= 4 && segments > left, `${left} of ${segments} segments are left`);
  });

  test("keeps the log that an older base needs while a newer one is being confirmed", async () => {
    const files = failingFiles();
    const { environment } = files;
    const options = { environment, retainedCheckpoints: 1 };
    const backend = await open(options, { segmentBytes: 65_536, materializationLogBytes: 65_536 });
    for (let value = 1; value <= 40; value++) {
      write(backend, value, (value * 91) % 2000, 500);
      if (value % 3 === 0) files.slow(4);
      const one = backend.checkpoint();
      await new Promise((resolve) => setTimeout(resolve, value % 4));
      write(backend, -value, 7, 20);
      const other = backend.checkpoint();
      await Promise.all([one, other]);
    }
    assert.ok((backend.stats().changelog?.materializations ?? 0) >= 2);
    const before = Array.from({ length: 2500 }, (_, key) => read(backend, key));
    const again = await reopened(backend, options);
    assert.deepEqual(
      Array.from({ length: 2500 }, (_, key) => read(again, key)),
      before,
    );
  });

  test("is an object of its own where the storage has no files that grow", async () => {
    const options = { checkpointStorage: wholeObjects(fileSystemStorage(join(root, "objects"))) };
    const backend = await open(options);
    for (const value of [1, 2, 3]) {
      write(backend, value);
      await backend.checkpoint();
    }
    assert.equal((await backend.checkpoint()).newFileCount, 1);
    const again = await reopened(backend, options);
    assert.deepEqual(read(again, 50), [3, [1, 2, 3]]);
  });
});

describe("options", () => {
  test("are refused by name before anything is made", async () => {
    const bad: readonly (readonly [Partial<KeyedStateBackendOptions>, RegExp])[] = [
      [{ backend: "memory" }, /policy "changelog" needs backend "lsm"/],
      [{ policy: "full" }, /changelog is for policy "changelog"/],
      [{ changelog: { segmentBytes: 1 } }, /changelog.segmentBytes/],
      [{ changelog: { segmentsToMerge: 1 } }, /changelog.segmentsToMerge/],
      [{ changelog: { segmentsToMerge: 65 } }, /changelog.segmentsToMerge/],
      [{ changelog: { recoveryTimeObjectiveMs: 1 } }, /changelog.recoveryTimeObjectiveMs/],
      [{ changelog: { segments: 1 } as ChangelogOptions }, /segments/],
    ];
    for (const [options, message] of bad) {
      await assert.rejects(open(options), { code: "VARVE_INVALID_ARGUMENT", message });
    }
    assert.equal(existsSync(join(root, "checkpoints")), false);
  });
});
