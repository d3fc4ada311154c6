// What hashes do not tell: rows that are intact and yet in the wrong place.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";
import { findCheckpoint } from "../../../src/inspect/checkpoint-location.ts";
import { planConversion } from "../../../src/inspect/conversion-plan.ts";
import { convertRows } from "../../../src/inspect/converted-rows.ts";
import { FingerprintReader } from "../../../src/inspect/fingerprint.ts";
import { OpenCheckpoint } from "../../../src/inspect/open-checkpoint.ts";
import { AscendingRows, type RowTarget } from "../../../src/inspect/row-target.ts";
import { Scratch } from "../../../src/inspect/scratch.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import type { CheckpointMetadata } from "../../../src/format/metadata.ts";

const sink: RowTarget = { fits: () => true, makeRoom: () => Promise.resolve(), copy: () => {} };

type Handle = CheckpointMetadata["handles"][number];

/** Converts a checkpoint whose metadata says something else than it did. */
async function convertAs(change: (handle: Handle) => Partial<Handle>): Promise<number> {
  const environment = memoryEnvironment();
  const storage = fileSystemStorage("/checkpoints", {}, environment);
  const backend = await openKeyedStateBackend({
    backend: "memory",
    workingDirectory: "/work",
    checkpointStorage: storage,
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
  const total = backend.valueState({ name: "total", value: f64 });
  for (let key = 0; key < 50; key++) backend.withKey(key, () => total.update(key));
  await backend.checkpoint();
  await backend.close();
  const { metadata } = await findCheckpoint(storage, {});
  const handles = metadata.handles.map((handle) => ({ ...handle, ...change(handle) }));
  const scratch = new Scratch(environment, "/scratch-");
  const reader = new FingerprintReader({});
  const view = new OpenCheckpoint(storage, { ...metadata, handles }, reader, scratch);
  const plan = planConversion(view, { format: "canonical" });
  const target = new AscendingRows(sink);
  const newSorter = (): never => assert.fail("nothing is to be sorted");
  await convertRows(view, plan, { target, newSorter, onKeyGroup: () => {} });
  return target.rowCount;
}

describe("rows of a conversion", () => {
  test("are all there", async () => {
    assert.equal(await convertAs(() => ({})), 50);
  });

  test("are refused in key groups that are not those of their keys, or not those of the handle", async () => {
    const max = convertAs(() => ({ keyGroups: { max: 129, first: 0, last: 128 } }));
    await assert.rejects(max, { code: "VARVE_CORRUPTION" });
    const few = convertAs(() => ({ keyGroups: { max: 128, first: 0, last: 60 } }));
    await assert.rejects(few, { code: "VARVE_CORRUPTION" });
  });

  test("are refused if no state that the metadata names has them", async () => {
    await assert.rejects(
      convertAs(() => ({ states: [] })),
      { code: "VARVE_CORRUPTION" },
    );
  });

  test("ascend, and none comes twice", () => {
    const target = new AscendingRows(sink);
    const put = (...key: number[]): void => {
      target.copy(Uint8Array.from(key), key.length, new Uint8Array(1), 0, 1);
    };
    put(1, 2);
    put(1, 2, 0);
    put(3);
    for (const key of [[3], [2, 9], []]) {
      assert.throws(() => put(...key), { code: "VARVE_CORRUPTION" });
    }
    put(3, 0);
    assert.equal(target.rowCount, 4);
  });
});
