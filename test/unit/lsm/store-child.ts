// A process that opens a store and ends without closing it: by itself, or while it drains.
import assert from "node:assert/strict";
import { packKeys } from "../../../src/lsm/prefetch.ts";
import { TestStore, rowKey, valueRow } from "./fixture.ts";

const [, , directory = "", mode = ""] = process.argv;
const t = await TestStore.open(directory, 64);
for (let index = 0; index < 20_000; index++) t.put(rowKey(index), valueRow(index, 100));
const drained = t.sealAndDrain();
if (mode === "idle") {
  await drained;
  assert.ok(t.store.getSync(rowKey(1)) !== undefined);
} else {
  drained.catch(() => undefined);
  await t.store.prefetch(packKeys([])); // Answered between two batches.
  process.exit(7);
}
