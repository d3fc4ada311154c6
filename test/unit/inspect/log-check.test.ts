// What hashes do not tell of a log: rows that were stored wrong.
import assert from "node:assert/strict";
import { test } from "vitest";
import type { KeyedStateHandle } from "../../../src/api/keyed-state-backend.ts";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { checkLogRows } from "../../../src/inspect/log-check.ts";
import { LogSource } from "../../../src/inspect/log-source.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import {
  type TestBatch,
  type TestChange,
  encodeSegment,
  groupOf,
  put,
  rowKeyOf,
  segmentHandle,
} from "../../support/changelog-segments.ts";

const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
const max = 16;
const keyGroups = { max, first: 0, last: max - 1 };
const id = "ab".repeat(16);

async function faultsOf(
  batches: readonly TestBatch[],
): Promise<readonly (readonly [first: number, last: number, message: string])[]> {
  const storage = fileSystemStorage("/store", {}, memoryEnvironment());
  await storage.open();
  const bytes = encodeSegment(batches, tools);
  await storage.putBytes(`files/${id}`, bytes);
  const state = { name: "total", type: "value", serializers: ["f64"], namespaces: false } as const;
  const handle: KeyedStateHandle = {
    keyGroups,
    changeNumber: batches.length,
    base: {
      kind: "sst-set",
      fileList: { id, lengthBytes: 1, sha256: "0".repeat(64) },
      totalBytes: 0,
      fileCount: 0,
    },
    log: { baseChangeNumber: 0, segments: [segmentHandle(id, bytes)] },
    states: [{ ...state, id: stateIdOf("total") }],
  };
  const faults = await checkLogRows(await LogSource.open(storage, handle), () => undefined);
  return faults.map((fault) => {
    assert.equal(fault.id, id);
    const { first, last } = fault.keyGroups;
    return [first, last, (fault.error as Error).message] as const;
  });
}

function number(key: number): TestChange {
  const row = Buffer.alloc(9, 1);
  row.writeDoubleLE(key, 1);
  return put(rowKeyOf("total", key, max), row);
}

const numbers = Array.from({ length: 60 }, (_none, key) => number(key)).sort(
  (a, b) => groupOf(a.key) - groupOf(b.key),
);
const batchOf = (changes: readonly TestChange[], at: number, more: Partial<TestBatch> = {}) => {
  return { keyGroups, afterChange: at, upToChange: at + 1, changes, frameRows: 1, ...more };
};

test("a log whose rows are right has no faults", async () => {
  assert.deepEqual(await faultsOf([batchOf(numbers, 0), batchOf(numbers, 1)]), []);
});

test("each frame whose rows are wrong is named with its key groups, and all others are looked at", async () => {
  const wrong = [7, 30].map((at) => put(numbers[at]!.key, Buffer.from("no number")));
  const changes = numbers.map((change, at) => {
    return at === 7 ? wrong[0]! : at === 30 ? put(numbers[30]!.key, Buffer.of(9)) : change;
  });
  const faults = await faultsOf([batchOf(numbers, 0), batchOf(changes, 1)]);
  const groups = [7, 30].map((at) => groupOf(numbers[at]!.key));
  assert.deepEqual(
    faults.map(([first, last]) => [first, last]),
    groups.map((group) => [group, group]),
  );
});

test("a frame that is missing shows in the number of rows", async () => {
  const [fault, ...more] = await faultsOf([batchOf(numbers, 0, { header: { rowCount: 61 } })]);
  assert.deepEqual(more, []);
  assert.deepEqual(fault!.slice(0, 2), [0, 15]);
  assert.match(fault![2], /60 rows instead of 61/);
});
