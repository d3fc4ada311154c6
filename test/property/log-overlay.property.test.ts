// Goal: base and log together are what applying the changes one by one gives, for any changes, any cut into
// batches and frames, and however little memory there is for sorting.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import type { KeyedStateHandle, StateSchema } from "../../src/api/keyed-state-backend.ts";
import { fileSystemStorage } from "../../src/checkpoint/file-system-storage.ts";
import { memoryEnvironment } from "../../src/environment/memory-environment.ts";
import { loadFrameChecksum } from "../../src/format/frame-checksum.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import { stateIdOf } from "../../src/format/key-codec.ts";
import { type ListRows, listRows } from "../../src/format/list-row.ts";
import { LogSource } from "../../src/inspect/log-source.ts";
import { LoggedRows } from "../../src/inspect/logged-rows.ts";
import { contentOf, readRecords } from "../../src/inspect/record-reader.ts";
import { ALL_KEYS, type Row, type RowRange, rangeOfGroups } from "../../src/inspect/row-source.ts";
import { Scratch } from "../../src/inspect/scratch.ts";
import { loadCodec } from "../../src/workers/codec.ts";
import {
  type TestBatch,
  type TestChange,
  append,
  encodeSegment,
  put,
  remove,
  rowKeyOf,
  segmentHandle,
} from "../support/changelog-segments.ts";

const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
const max = 4;
const keyGroups = { max, first: 0, last: max - 1 };
const schema = (name: string, type: "value" | "list"): StateSchema => {
  return { name, id: stateIdOf(name), type, serializers: ["utf8"], namespaces: false };
};
const states = [schema("value", "value"), schema("list", "list")];

/** What can happen to a key of a state. */
type Action =
  | { readonly kind: "put" | "remove" | "append"; readonly key: number; readonly size: number }
  | { readonly kind: "cut" };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "put" as const,
        "remove" as const,
        "append" as const,
        "append" as const,
      ),
      key: fc.integer({ min: 0, max: 12 }),
      size: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 600 })),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: "cut" as const }) },
);

/** Elements that tell where they are from. */
function elementsOf(step: number, size: number): Uint8Array[] {
  return Array.from({ length: size }, (_none, at) => Buffer.from(`element ${step} ${at}`));
}

function encoded(elements: readonly Uint8Array[]): Uint8Array {
  return append(Buffer.alloc(9), ...elements).value!;
}

/** The changes that write a whole list: root and chunks; stale chunks go. */
function wholeList(key: number, rows: ListRows, staleChunks: number): TestChange[] {
  const changes = [put(rowKeyOf("list", key, max), rows.root)];
  for (const { index, row } of rows.chunks) {
    changes.push(put(rowKeyOf("list", key, max, { node: index }), row));
  }
  for (let node = rows.chunks.length; node < staleChunks; node++) {
    changes.push(remove(rowKeyOf("list", key, max, { node })));
  }
  return changes;
}

/** A job that knows what its lists are, and writes base and log as a backend may. */
class Model {
  readonly values = new Map<number, string>();
  readonly lists = new Map<number, Uint8Array[]>();
  /** More chunks than any list of the key had. */
  readonly #chunks = new Map<number, number>();
  readonly batches: TestBatch[] = [];
  #changes: TestChange[] = [];
  #change: number;

  constructor(change: number) {
    this.#change = change;
  }

  get changeNumber(): number {
    return this.#change;
  }

  act(one: Action, step: number): void {
    if (one.kind === "cut") this.cut();
    else if (one.key % 3 === 0) this.#onValue(one.kind, one.key, step);
    else this.#onList(one.kind, one.key, elementsOf(step, one.size));
  }

  #onValue(kind: "put" | "remove" | "append", key: number, step: number): void {
    const rowKey = rowKeyOf("value", key, max);
    this.#drop((changed) => Buffer.compare(changed.key, rowKey) === 0);
    if (kind === "remove") {
      this.values.delete(key);
      this.#changes.push(remove(rowKey));
      return;
    }
    this.values.set(key, `value ${step}`);
    this.#changes.push(put(rowKey, Buffer.from(`\u0001value ${step}`)));
  }

  #onList(kind: "put" | "remove" | "append", key: number, elements: Uint8Array[]): void {
    const before = this.lists.get(key) ?? [];
    const isAppend = kind === "append";
    const after = kind === "remove" ? [] : isAppend ? [...before, ...elements] : elements;
    if (after.length === 0) this.lists.delete(key);
    else this.lists.set(key, after);
    // Rows of the list that the batch writes whole, and more chunks than it can have by appends.
    const chunks = this.#chunks.get(key) ?? 0;
    const grown = chunks + 2 * Math.ceil(encoded(elements).length / 4096) + 2;
    this.#chunks.set(key, grown);
    if (isAppend) {
      this.#changes.push(append(rowKeyOf("list", key, max), ...elements));
      return;
    }
    this.#drop((changed) => isOfList(changed.key, key));
    if (kind === "remove") {
      this.#changes.push(remove(rowKeyOf("list", key, max)));
      for (let node = 0; node < chunks; node++) {
        this.#changes.push(remove(rowKeyOf("list", key, max, { node })));
      }
      return;
    }
    const rows = listRows(this.#change, encoded(elements));
    this.#changes.push(...wholeList(key, rows, chunks));
  }

  /** A key has one put or delete in a batch. */
  #drop(isOld: (changed: TestChange) => boolean): void {
    this.#changes = this.#changes.filter((changed) => !isOld(changed));
  }

  cut(): void {
    const [afterChange, upToChange] = [this.#change, this.#change + 2];
    this.batches.push({ keyGroups, afterChange, upToChange, changes: this.#changes, frameRows: 7 });
    this.#changes = [];
    this.#change = upToChange;
  }
}

function isOfList(rowKey: Uint8Array, key: number): boolean {
  const root = rowKeyOf("list", key, max);
  const own = Buffer.from(rowKey.subarray(0, root.length));
  own[6] = 0;
  return Buffer.compare(own, root) === 0;
}

/** The base's rows, in memory. */
class Rows {
  readonly #rows: readonly Row[];

  constructor(changes: readonly TestChange[]) {
    const rows = new Map<string, Row>();
    for (const { key, value } of changes) {
      const name = Buffer.from(key).toString("hex");
      if (value === undefined) rows.delete(name);
      else rows.set(name, { key, row: value });
    }
    this.#rows = [...rows.values()].sort((a, b) => Buffer.compare(a.key, b.key));
  }

  contentOf(): undefined {
    return undefined;
  }

  clear(): void {}

  async *rows({ gte, lt }: RowRange): AsyncGenerator<readonly Row[], void, void> {
    await Promise.resolve();
    const found = this.#rows.filter(({ key }) => {
      return Buffer.compare(key, gte) >= 0 && (lt === undefined || Buffer.compare(key, lt) < 0);
    });
    for (let at = 0; at < found.length; at += 3) yield found.slice(at, at + 3);
  }
}

async function check(
  base: readonly Action[],
  log: readonly Action[],
  sortBytes: number,
): Promise<void> {
  const model = new Model(5);
  // The base: the same kinds of rows, without appends.
  base.forEach((one, step) => {
    if (one.kind !== "cut") model.act({ ...one, kind: "put" }, step);
  });
  model.cut();
  const baseRows = new Rows(model.batches.pop()!.changes);
  const baseChangeNumber = model.changeNumber;
  log.forEach((one, step) => model.act(one, 1000 + step));
  model.cut();
  const environment = memoryEnvironment();
  const storage = fileSystemStorage("/store", {}, environment);
  await storage.open();
  const bytes = encodeSegment(model.batches, tools);
  const id = "ab".repeat(16);
  await storage.putBytes(`files/${id}`, concatenate([bytes, Buffer.from("behind")]));
  const handle: KeyedStateHandle = {
    keyGroups,
    changeNumber: model.changeNumber,
    base: {
      kind: "sst-set",
      fileList: { id, lengthBytes: 1, sha256: "0".repeat(64) },
      totalBytes: 0,
      fileCount: 0,
    },
    log: { baseChangeNumber, segments: [segmentHandle(id, bytes)] },
    states,
  };
  const scratch = new Scratch(environment, "/scratch-");
  const source = await LogSource.open(storage, handle);
  const rows = new LoggedRows(baseRows, source, scratch, sortBytes);
  await assertRows(rows, model);
  await scratch.close();
  assert.equal(await environment.fileSystem.stat(scratch.path), undefined);
}

async function assertRows(rows: LoggedRows, model: Model): Promise<void> {
  let before = Buffer.alloc(0);
  for await (const batch of rows.rows(rangeOfGroups(0, max - 1))) {
    assert.ok(batch.length > 0);
    for (const { key } of batch) {
      assert.ok(Buffer.compare(before, key) < 0, "rows ascend");
      before = Buffer.from(key);
    }
  }
  const found = new Map<string, string>();
  for (let group = 0; group < max; group++) {
    for (const one of states) {
      for await (const records of readRecords(rows, one, group, ALL_KEYS)) {
        for (const record of records) {
          const content = Buffer.from(contentOf(record)).toString("latin1");
          found.set(Buffer.from(record.rootKey).toString("hex"), content);
        }
      }
    }
  }
  const expected = new Map<string, string>();
  for (const [key, value] of model.values) {
    expected.set(rowKeyOf("value", key, max).toString("hex"), value);
  }
  for (const [key, elements] of model.lists) {
    const content = Buffer.from(encoded(elements)).toString("latin1");
    expected.set(rowKeyOf("list", key, max).toString("hex"), content);
  }
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [key, content] of expected) assert.equal(found.get(key), content, key);
}

describe("a base under a log", () => {
  for (const sortBytes of [1_000_000_000, 20_000, 2000]) {
    test(`is what its changes one by one come to, ${sortBytes} bytes of memory`, async () => {
      const actions = fc.array(action, { minLength: 20, maxLength: 120 });
      await fc.assert(
        fc.asyncProperty(actions, actions, (base, log) => check(base, log, sortBytes)),
        { numRuns: 40 },
      );
    });
  }
});
