import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { KeyGroupRange, KeyedStateHandle } from "../../../src/api/keyed-state-backend.ts";
import { fileSystemStorage } from "../../../src/checkpoint/file-system-storage.ts";
import {
  LogReader,
  type LogReaderOptions,
  type OpenedLog,
  openLog,
} from "../../../src/checkpoint/log-reader.ts";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { CorruptionError, UnsupportedFormatError } from "../../../src/errors.ts";
import { ChangeKind, readChanges } from "../../../src/format/changelog-rows.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import {
  type TestBatch,
  type TestChange,
  append,
  encodeSegment,
  groupOf,
  put,
  remove,
  rowKeyOf,
  segmentHandle,
} from "../../support/changelog-segments.ts";

const tools = { checksum: await loadFrameChecksum(), codec: loadCodec() };
const max = 16;
const all: KeyGroupRange = { max, first: 0, last: 15 };
const low: KeyGroupRange = { max, first: 0, last: 7 };
const high: KeyGroupRange = { max, first: 8, last: 15 };

function idOf(number: number): string {
  return String(number).padStart(32, "0");
}

const states: KeyedStateHandle["states"] = [
  { name: "total", id: stateIdOf("total"), type: "value", serializers: ["f64"], namespaces: false },
  { name: "log", id: stateIdOf("log"), type: "list", serializers: ["utf8"], namespaces: false },
];

/** `from` to `to`: values of the state "total". */
function puts(from: number, to: number, keyGroups: KeyGroupRange = all): TestChange[] {
  const changes: TestChange[] = [];
  for (let number = from; number < to; number++) {
    const key = rowKeyOf("total", number, max);
    if (groupOf(key) < keyGroups.first || groupOf(key) > keyGroups.last) continue;
    changes.push(put(key, Buffer.from(`\u0001value ${number}`)));
  }
  return changes;
}

function batch(
  afterChange: number,
  upToChange: number,
  changes: readonly TestChange[],
  keyGroups: KeyGroupRange = all,
  more: Partial<TestBatch> = {},
): TestBatch {
  return { keyGroups, afterChange, upToChange, changes, ...more };
}

interface World extends Omit<LogReaderOptions, "signal"> {
  /** Stores a segment. */
  put(number: number, bytes: Uint8Array): Promise<void>;
  read(
    handle: KeyedStateHandle,
    keyGroups?: KeyGroupRange,
  ): Promise<{ readonly changes: readonly TestChange[]; readonly upTo: readonly number[] }>;
}

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  const environment = memoryEnvironment();
  const storage = fileSystemStorage("/store", {}, environment);
  await storage.open();
  const pool = await openWorkerPool({ environment });
  const directory = "/local";
  await environment.fileSystem.makeDirectory(directory);
  const options = { storage, pool, environment, directory };
  try {
    await work({
      ...options,
      put: (number, bytes) => storage.putBytes(`files/${idOf(number)}`, bytes),
      async read(handle, keyGroups = handle.keyGroups) {
        await environment.fileSystem.removeTree(directory);
        await environment.fileSystem.makeDirectory(directory);
        return readAll(await openLog({ ...options, handle, keyGroups }));
      },
    });
    assert.equal(pool.pendingTasks, 0);
  } finally {
    await pool.close();
  }
}

async function readAll(opened: OpenedLog): ReturnType<World["read"]> {
  const changes: TestChange[] = [];
  const upTo: number[] = [];
  let [rawBytes, frames] = [0, 0];
  for await (const { rows, file, offset, upToChange } of opened) {
    rawBytes += rows.length;
    frames++;
    readChanges(rows, file, offset, (kind, key, value) => {
      const isDelete = kind === ChangeKind.delete;
      changes.push({ kind, key: key.slice(), value: isDelete ? undefined : value.slice() });
      upTo.push(upToChange);
    });
  }
  assert.ok(rawBytes <= opened.rawBytes);
  assert.ok(frames <= opened.frameCount);
  return { changes, upTo };
}

function handleOf(
  baseChangeNumber: number,
  changeNumber: number,
  segments: readonly (readonly [number: number, bytes: Uint8Array, lengthBytes?: number])[],
  keyGroups: KeyGroupRange = all,
): KeyedStateHandle {
  return {
    keyGroups,
    changeNumber,
    base: {
      kind: "sst-set",
      fileList: { id: "ff".repeat(16), lengthBytes: 1, sha256: "0".repeat(64) },
      totalBytes: 0,
      fileCount: 0,
    },
    log: {
      baseChangeNumber,
      segments: segments.map(([number, bytes, length]) =>
        segmentHandle(idOf(number), bytes, length),
      ),
    },
    states,
  };
}

function sorted(changes: readonly TestChange[]): TestChange[] {
  return [...changes].sort((a, b) => groupOf(a.key) - groupOf(b.key));
}

function assertSame(found: readonly TestChange[], expected: readonly TestChange[]): void {
  const text = ({ kind, key, value }: TestChange): string =>
    `${kind} ${Buffer.from(key).toString("hex")} ${Buffer.from(value ?? []).toString("hex")}`;
  assert.deepEqual(found.map(text), expected.map(text));
}

describe("the log of a handle", () => {
  test("is read in the order of its segments and batches", async () => {
    await inWorld(async (world) => {
      const first = encodeSegment(
        [batch(4, 6, puts(0, 50)), batch(6, 7, [remove(rowKeyOf("total", 3, max))])],
        tools,
      );
      const second = encodeSegment(
        [batch(7, 9, [append(rowKeyOf("log", "a", max), Buffer.from("x"))])],
        tools,
      );
      await world.put(1, first);
      await world.put(2, second);
      const handle = handleOf(4, 9, [
        [1, first],
        [2, second],
      ]);
      const { changes, upTo } = await world.read(handle);
      assertSame(changes, [
        ...sorted(puts(0, 50)),
        remove(rowKeyOf("total", 3, max)),
        append(rowKeyOf("log", "a", max), Buffer.from("x")),
      ]);
      assert.deepEqual(upTo, [...Array.from({ length: 50 }, () => 6), 7, 9]);
    });
  });

  test("ends at the length of the handle, whatever is behind it", async () => {
    await inWorld(async (world) => {
      const whole = encodeSegment([batch(0, 1, puts(0, 9)), batch(1, 2, puts(9, 20))], tools);
      const { length } = encodeSegment([batch(0, 1, puts(0, 9))], tools);
      await world.put(1, concatenate([whole, Buffer.from("a torn tail")]));
      assertSame(
        (await world.read(handleOf(0, 1, [[1, whole, length]]))).changes,
        sorted(puts(0, 9)),
      );
      const both = [...sorted(puts(0, 9)), ...sorted(puts(9, 20))];
      assertSame((await world.read(handleOf(0, 2, [[1, whole]]))).changes, both);
    });
  });

  test("leaves out other backends' batches, those of the base, and other key groups", async () => {
    await inWorld(async (world) => {
      const bytes = encodeSegment(
        [
          batch(0, 3, puts(0, 40, low), low, { frameRows: 3 }),
          batch(0, 8, puts(0, 40, high), high, { frameRows: 3 }),
          batch(3, 4, puts(40, 80, low), low, { frameRows: 3 }),
          batch(8, 9, [], high),
        ],
        tools,
      );
      await world.put(1, bytes);
      const lowHandle = handleOf(3, 4, [[1, bytes]], low);
      assertSame((await world.read(lowHandle)).changes, sorted(puts(40, 80, low)));
      const highHandle = handleOf(0, 9, [[1, bytes]], high);
      assertSame((await world.read(highHandle)).changes, sorted(puts(0, 40, high)));
      const some = { max, first: 6, last: 9 };
      const expected = sorted(puts(0, 40, { max, first: 8, last: 9 }));
      assertSame((await world.read(highHandle, some)).changes, expected);
      assertSame((await world.read(highHandle, low)).changes, []);
    });
  });

  test("of many frames is decoded in order, and counted", async () => {
    await inWorld(async (world) => {
      const batches = Array.from({ length: 300 }, (_, index) => {
        return batch(index, index + 1, puts(index * 10, index * 10 + 10), all, { frameRows: 2 });
      });
      const half = encodeSegment(batches.slice(0, 150), tools);
      const rest = encodeSegment(batches.slice(150), tools);
      await world.put(1, half);
      await world.put(2, rest);
      const handle = handleOf(0, 300, [
        [1, half],
        [2, rest],
      ]);
      const { changes } = await world.read(handle);
      assertSame(
        changes,
        batches.flatMap(({ changes: own }) => sorted(own)),
      );
    });
  });

  test("without changes after the base is empty", async () => {
    await inWorld(async (world) => {
      const bytes = encodeSegment([batch(0, 5, puts(0, 9))], tools);
      await world.put(1, bytes);
      assertSame((await world.read(handleOf(5, 5, [[1, bytes]]))).changes, []);
      const { log: _log, ...none } = handleOf(5, 5, []);
      assertSame((await world.read(none)).changes, []);
    });
  });

  test("is fetched once where handles share it, also with several lengths", async () => {
    await inWorld(async (world) => {
      const batches = [batch(0, 1, puts(0, 9, low), low), batch(0, 2, puts(0, 9, high), high)];
      const bytes = encodeSegment(batches, tools);
      const { length } = encodeSegment(batches.slice(0, 1), tools);
      await world.put(1, bytes);
      const reader = new LogReader(world);
      const logs = await Promise.all([
        reader.open(handleOf(0, 1, [[1, bytes, length]], low), low),
        reader.open(handleOf(0, 2, [[1, bytes]], high), high),
      ]);
      const lengths = logs.map(({ logBytes }) => logBytes);
      assert.deepEqual(lengths, [length, bytes.length]);
      assertSame((await readAll(logs[1]!)).changes, sorted(puts(0, 9, high)));
      const names = await world.environment.fileSystem.readDirectory(world.directory);
      assert.deepEqual(names, [`segment-${idOf(1)}`]);
    });
  });
});

describe("a log is refused, by the name of its file,", () => {
  const bytes = encodeSegment([batch(0, 2, puts(0, 9)), batch(2, 3, puts(9, 12))], tools);
  const damaged = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  const refused = async (
    stored: Uint8Array | undefined,
    handle: KeyedStateHandle,
    pattern: RegExp,
  ): Promise<void> => {
    await inWorld(async (world) => {
      if (stored !== undefined) await world.put(1, stored);
      await assert.rejects(world.read(handle), (error: unknown) => {
        assert.ok(error instanceof CorruptionError || error instanceof UnsupportedFormatError);
        assert.match(error.message, pattern);
        assert.match(error.message, new RegExp(idOf(1)));
        return true;
      });
    });
  };
  const one = (changes: readonly TestChange[], more: Partial<TestBatch> = {}): Uint8Array =>
    encodeSegment([batch(0, 1, changes, all, more)], tools);
  const refusedRows = (stored: Uint8Array, pattern: RegExp): Promise<void> =>
    refused(stored, handleOf(0, 1, [[1, stored]]), pattern);

  test("if a segment is missing, cut or damaged", async () => {
    const handle = handleOf(0, 3, [[1, bytes]]);
    await refused(undefined, handle, /does not exist/);
    await refused(bytes.subarray(0, -1), handle, /has \d+ bytes of \d+/);
    await refused(
      damaged((copy) => copy.writeUInt8(copy[100]! ^ 1, 100)),
      handle,
      /SHA-256/,
    );
  });

  test("if its chain has a gap, an overlap, or ends elsewhere", async () => {
    const lost = encodeSegment([batch(0, 2, []), batch(3, 4, [])], tools);
    await refused(lost, handleOf(0, 4, [[1, lost]]), /after 3, up to 4, where those after 2/);
    await refused(bytes, handleOf(1, 3, [[1, bytes]]), /after 0, up to 2, where those after 1/);
    await refused(bytes, handleOf(0, 2, [[1, bytes]]), /at most up to 2/);
    await refused(bytes, handleOf(0, 4, [[1, bytes]]), /after 3, up to 4, are missing/);
  });

  test("if a batch is of another number of key groups", async () => {
    const other = encodeSegment([batch(0, 1, [], { max: 8, first: 0, last: 7 })], tools);
    await refused(other, handleOf(0, 1, [[1, other]]), /of 8 key groups instead of 16/);
  });

  test("if a row is out of place, or of nothing that the handle has", async () => {
    const [a, b] = [puts(0, 9), sorted(puts(0, 9))];
    const span = (): [number, number] => [0, 15];
    assert.notDeepEqual(a, b);
    await refusedRows(one(a, { groupsOf: span }), /is out of place/);
    const narrow = one(b, { groupsOf: () => [groupOf(b[0]!.key), groupOf(b[0]!.key)] });
    await refusedRows(narrow, /is out of place/);
    const foreign = rowKeyOf("total", 1, max, { group: 3 });
    await refusedRows(one([put(foreign, Buffer.of(1))]), /another key group than its key/);
    await refusedRows(one([put(rowKeyOf("x", 1, max), Buffer.of(1))]), /metadata does not name/);
    const blind = append(rowKeyOf("total", 1, max), Buffer.of(1));
    await refusedRows(one([blind]), /no list/);
    const toChunk = append(rowKeyOf("log", 1, max, { node: 0 }), Buffer.of(1));
    await refusedRows(one([toChunk]), /no list/);
  });

  test("if a row is malformed", async () => {
    const key = rowKeyOf("total", 1, max);
    await refusedRows(one([put(key, Buffer.of(9))]), /unknown|found 9/i);
    await refusedRows(one([put(key, Buffer.of(0x81))]), /expir/);
    await refusedRows(one([put(key, Buffer.alloc(500_000, 1))]), /longer than a row/);
    await refusedRows(one([{ kind: 4, key }]), /change 4/);
    await refusedRows(one([{ kind: 1, key, value: Buffer.alloc(0) }]), /no value/);
    const cut = { kind: 3, key: rowKeyOf("log", 1, max), value: Buffer.of(5, 1) };
    await refusedRows(one([cut]), /list row is cut/);
    const tag = Buffer.from(key);
    tag[7] = 17;
    await refusedRows(one([put(tag, Buffer.of(1))]), /tag 17/);
    await refusedRows(one([put(key.subarray(0, 8), Buffer.of(1))]), /too short/);
  });

  test("if a batch has another number of rows than it says", async () => {
    await refusedRows(one(puts(0, 9), { header: { rowCount: 8 } }), /9 rows instead of 8/);
  });
});

test("what an aborted reader has begun is over when it has rejected", async () => {
  await inWorld(async (world) => {
    const batches = Array.from({ length: 40 }, (_, index) => {
      const changes = puts(index, index + 3).map(({ key }) => {
        return put(key, Buffer.alloc(400_000, 1));
      });
      return batch(index, index + 1, changes, all, { frameRows: 1 });
    });
    const bytes = encodeSegment(batches, { checksum: tools.checksum });
    await world.put(1, bytes);
    const abort = new AbortController();
    const handle = handleOf(0, 40, [[1, bytes]]);
    const log = await openLog({ ...world, signal: abort.signal, handle, keyGroups: all });
    const reason = new Error("enough");
    let frames = 0;
    await assert.rejects(async () => {
      for await (const { rows } of log) {
        assert.ok(rows.length > 400_000);
        frames++;
        abort.abort(reason);
      }
    }, reason);
    assert.ok(frames < 120);
    assert.equal(world.pool.pendingTasks, 0);
  });
});
