// Policy "changelog" case by case: what a checkpoint is made of, and what becomes of failures.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "vitest";
import { MIB, f64, fileSystemStorage, i64, openKeyedStateBackend } from "../../src/index.ts";
import type {
  ChangelogOptions,
  CheckpointStorage,
  CompletedCheckpoint,
  Environment,
  KeyedStateBackend,
  KeyedStateBackendOptions,
} from "../../src/index.ts";
import { failingFiles } from "../support/failing-files.ts";
import { quickDirectory } from "../support/subjects.ts";

let root = "";
const opened: KeyedStateBackend[] = [];

beforeEach(() => {
  root = quickDirectory("varve-changelog-");
});

afterEach(async () => {
  for (const backend of opened.splice(0)) await backend.close();
  rmSync(root, { recursive: true, force: true });
});

async function open(
  options: Partial<KeyedStateBackendOptions> = {},
  changelog: ChangelogOptions = {},
): Promise<KeyedStateBackend> {
  const { environment } = options;
  const backend = await openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints"), {}, environment),
    memoryBudgetBytes: 32 * MIB,
    policy: "changelog",
    changelog,
    restore: "latest-or-new",
    ...options,
  });
  opened.push(backend);
  return backend;
}

async function close(backend: KeyedStateBackend): Promise<void> {
  opened.splice(opened.indexOf(backend), 1);
  await backend.close();
}

/** Keys from `first` on get this value; a list gets it as well. */
function write(backend: KeyedStateBackend, value: number, first = 0, count = 100): void {
  const total = backend.valueState({ name: "total", value: f64 });
  const list = backend.listState({ name: "list", element: i64 });
  for (let key = first; key < first + count; key++) {
    backend.withKey(key, () => {
      total.update(value);
      list.add(value);
    });
  }
}

function read(backend: KeyedStateBackend, key: number): readonly [number | undefined, number[]] {
  const total = backend.valueState({ name: "total", value: f64 });
  const list = backend.listState({ name: "list", element: i64 });
  return backend.withKey(key, () => [total.value(), [...(list.get() ?? [])]] as const);
}

/** Of the newest checkpoint, in a backend that was opened anew. */
async function reopened(
  backend: KeyedStateBackend,
  options: Partial<KeyedStateBackendOptions> = {},
): Promise<KeyedStateBackend> {
  await close(backend);
  return open({ restore: "latest", ...options });
}

/** Whether the checkpoint made a base of its own. */
function madeBase({ phases, newFileCount }: CompletedCheckpoint): boolean {
  return phases.syncMs === 0 && newFileCount > 0;
}

function segmentsIn(folder: string): number {
  const isSegment = (name: string): boolean =>
    readFileSync(join(folder, name)).toString("latin1", 0, 8) === "VARVESEG";
  return readdirSync(folder).filter(isSegment).length;
}

const isAborted = { code: "VARVE_CHECKPOINT_ABORTED", reason: "storage" };

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
    const { logBytes } = await backend.checkpoint();
    assert.ok(logBytes < 8 * 65_536, `the log has ${logBytes} bytes`);
    const before = Array.from({ length: 4000 }, (_, key) => read(backend, key));
    const again = await reopened(backend);
    assert.deepEqual(
      Array.from({ length: 4000 }, (_, key) => read(again, key)),
      before,
    );
    const { segments = 0 } = backend.stats().changelog ?? {};
    const left = segmentsIn(join(root, "checkpoints/files"));
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
    const storage = fileSystemStorage(join(root, "objects"));
    const objects = new Proxy(storage, {
      get(target, name) {
        if (name === "pathForAppending") return undefined;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
    const options = { checkpointStorage: objects as CheckpointStorage };
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

describe("a failure of the log", () => {
  const failures = [
    ["create", "EIO"],
    ["write", "EIO"],
    ["write", "ENOSPC"],
    ["sync", "EIO"],
  ] as const;

  async function withFailures(): Promise<{
    files: ReturnType<typeof failingFiles>;
    environment: Environment;
    backend: KeyedStateBackend;
  }> {
    const files = failingFiles();
    const { environment } = files;
    const backend = await open({ environment });
    write(backend, 1);
    await backend.checkpoint();
    write(backend, 2);
    await backend.checkpoint();
    return { files, environment, backend };
  }

  test.for(failures.slice(1))(
    "aborts that checkpoint, and the next one holds everything: %s",
    async ([call, code]) => {
      const { files, environment, backend } = await withFailures();
      files.arm(call, code, 1);
      write(backend, 3);
      await assert.rejects(backend.checkpoint(), isAborted);
      assert.equal(files.failed, 1);
      write(backend, 4, 0, 50);
      const next = await backend.checkpoint();
      assert.ok(madeBase(next));
      write(backend, 5, 0, 10);
      assert.equal(madeBase(await backend.checkpoint()), false);
      const again = await reopened(backend, { environment });
      assert.deepEqual(
        [5, 20, 80].map((key) => read(again, key)),
        [
          [5, [1, 2, 3, 4, 5]],
          [4, [1, 2, 3, 4]],
          [3, [1, 2, 3]],
        ],
      );
    },
  );

  test("in a segment that cannot be created is no different", async () => {
    const files = failingFiles();
    const { environment } = files;
    files.arm("create", "ENOSPC", 1);
    const backend = await open({ environment });
    write(backend, 1);
    await backend.checkpoint(); // A base needs no segment.
    write(backend, 2);
    await assert.rejects(backend.checkpoint(), isAborted);
    write(backend, 3);
    await backend.checkpoint();
    const again = await reopened(backend, { environment });
    assert.deepEqual(read(again, 1), [3, [1, 2, 3]]);
  });

  test("ten times in a row loses nothing, and the job goes on", async () => {
    const { files, environment, backend } = await withFailures();
    for (let time = 3; time < 13; time++) {
      files.arm("sync", "EIO", 1);
      write(backend, time);
      // Every second one makes a base, which appends nothing.
      const done = await backend.checkpoint().then(
        () => true,
        (error: unknown) => (error as { code: string }).code === "VARVE_CHECKPOINT_ABORTED",
      );
      assert.ok(done);
    }
    assert.ok(files.failed >= 5);
    files.arm("sync", "EIO", 0);
    await backend.checkpoint();
    const expected = Array.from({ length: 12 }, (_, index) => index + 1);
    const again = await reopened(backend, { environment });
    assert.deepEqual(read(again, 42), [12, expected]);
  });

  test("between checkpoints is told by the next one, which holds everything", async () => {
    const { files, environment, backend } = await withFailures();
    files.arm("write", "EIO", 1);
    for (let round = 0; round < 40 && files.failed === 0; round++) {
      write(backend, 3, round * 1000, 1000); // Sealed by its size, and appended ahead.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(files.failed, 1);
    const next = await backend.checkpoint();
    assert.ok(madeBase(next));
    const again = await reopened(backend, { environment });
    assert.deepEqual(read(again, 5), [3, [1, 2, 3]]);
  });
});

describe("a checkpoint that is given up", () => {
  test("and alone knows its segment ends the log: the next one makes a base", async () => {
    const files = failingFiles();
    const { environment } = files;
    const backend = await open({ environment });
    write(backend, 1);
    await backend.checkpoint();
    const metadata = join(root, "checkpoints/metadata");
    files.failLinks(metadata, 2);
    write(backend, 2);
    await assert.rejects(backend.checkpoint(), isAborted);
    files.failLinks(metadata, 0);
    write(backend, 3);
    const next = await backend.checkpoint();
    assert.ok(madeBase(next));
    write(backend, 4);
    await backend.checkpoint();
    const again = await reopened(backend, { environment });
    assert.deepEqual(read(again, 9), [4, [1, 2, 3, 4]]);
  });

  test("by a runtime before it is told of, tells nothing, and the log goes on", async () => {
    const backend = await open({ restore: { checkpointId: 0, handles: [] } });
    write(backend, 1);
    await backend.snapshot(1).result;
    backend.notifyCheckpointComplete(1);
    write(backend, 2);
    const given = backend.snapshot(2);
    backend.notifyCheckpointAborted(2);
    await assert.rejects(given.result, { code: "VARVE_CHECKPOINT_ABORTED" });
    write(backend, 3);
    const { handle } = await backend.snapshot(3).result;
    backend.notifyCheckpointComplete(3);
    assert.equal(handle.log?.segments.length, 1);
    const again = await reopened(backend, { restore: { checkpointId: 3, handles: [handle] } });
    assert.deepEqual(read(again, 1), [3, [1, 2, 3]]);
  });

  test("by its caller takes nothing from the others", async () => {
    const backend = await open();
    write(backend, 1);
    await backend.checkpoint();
    for (let value = 2; value < 12; value++) {
      write(backend, value);
      const stop = new AbortController();
      const given = backend.checkpoint(null, { signal: stop.signal });
      write(backend, -value, 0, 3);
      const kept = backend.checkpoint();
      stop.abort();
      await assert.rejects(given, { name: "AbortError" });
      await kept;
    }
    const again = await reopened(backend);
    const list = Array.from({ length: 10 }, (_, index) => [index + 2, -(index + 2)]).flat();
    assert.deepEqual(read(again, 1), [-11, [1, ...list]]);
    assert.deepEqual(read(again, 70)[0], 11);
  });
});

describe("options", () => {
  test("are refused by name before anything is made", async () => {
    const bad: readonly (readonly [Partial<KeyedStateBackendOptions>, RegExp])[] = [
      [{ backend: "memory" }, /policy "changelog" needs backend "lsm"/],
      [{ policy: "full" }, /changelog is for policy "changelog"/],
      [{ changelog: { segmentBytes: 1 } }, /changelog.segmentBytes/],
      [{ changelog: { recoveryTimeObjectiveMs: 1 } }, /changelog.recoveryTimeObjectiveMs/],
      [{ changelog: { segments: 1 } as ChangelogOptions }, /segments/],
    ];
    for (const [options, message] of bad) {
      await assert.rejects(open(options), { code: "VARVE_INVALID_ARGUMENT", message });
    }
    assert.equal(existsSync(join(root, "checkpoints")), false);
  });
});
