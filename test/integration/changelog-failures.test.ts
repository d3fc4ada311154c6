// Policy "changelog" case by case: what becomes of failures, and of checkpoints that are given up.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "vitest";
import {
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
  utf8,
} from "../../src/index.ts";
import type { Environment, KeyedStateBackend, KeyedStateBackendOptions } from "../../src/index.ts";
import {
  close,
  isAborted,
  isOwn,
  madeBase,
  open,
  opened,
  read,
  reopened,
  root,
  write,
} from "../support/changelog-backends.ts";
import { failingFiles } from "../support/failing-files.ts";
import { stoppableStorage, storageWith } from "../support/other-storages.ts";
import { auditStorage } from "../support/storage-audit.ts";

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

  test("takes those with it that were being appended to the same segment", async () => {
    const files = failingFiles();
    const { environment } = files;
    const backend = await open({ environment });
    write(backend, 1);
    await backend.checkpoint();
    const metadata = join(root, "checkpoints/metadata");
    files.failLinks(metadata, 1, "ENOSPC");
    write(backend, 2);
    const lost = assert.rejects(backend.checkpoint(), isAborted);
    await new Promise((resolve) => setImmediate(resolve));
    const release = files.hold();
    write(backend, 3);
    const beside = assert.rejects(backend.checkpoint(), isAborted);
    await lost;
    release();
    await beside;
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

describe("a base that is being made", () => {
  const small = { segmentBytes: 65_536, materializationLogBytes: 65_536 };

  /** Until a base is due. */
  async function grow(backend: KeyedStateBackend): Promise<void> {
    for (let value = 2; backend.stats().changelog?.isMaterializing !== true; value++) {
      write(backend, value, 0, 2000);
      await backend.checkpoint();
    }
  }

  /** With a base whose upload stands still. */
  async function held(options: Partial<KeyedStateBackendOptions> = {}) {
    let isStopped = false;
    const { storage, atGate, release } = stoppableStorage(join(root, "held"), () => isStopped);
    // As a client that takes no signal.
    const putFile = (name: string, path: string) => storage.putFile(name, path);
    const checkpointStorage = storageWith(storage, { putFile });
    const workingDirectory = join(root, "held-work");
    const backend = await open({ ...options, workingDirectory, checkpointStorage }, small);
    write(backend, 1, 0, 2000);
    await backend.checkpoint();
    isStopped = true;
    await grow(backend);
    await atGate;
    return { backend, storage, release };
  }

  test("is given up by closing, which ends when nothing is uploaded any more, and leaves nothing of it", async () => {
    const { backend, storage, release } = await held();
    let isClosed = false;
    const closing = close(backend).then(() => (isClosed = true));
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(isClosed, false);
    release();
    await closing;
    const { missing, unreferenced } = await auditStorage(storage);
    assert.deepEqual([missing, unreferenced], [[], []]);
  });

  test("holds up nobody who closes while it waits for that of another backend", async () => {
    const host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
    const { backend, release } = await held({ host, memoryBudgetBytes: undefined });
    const waiting = await open({ host, memoryBudgetBytes: undefined }, small);
    write(waiting, 1, 0, 2000);
    await waiting.checkpoint();
    await grow(waiting);
    await close(waiting);
    assert.equal(backend.stats().changelog?.isMaterializing, true);
    release();
    await close(backend);
    await host.close();
  });
});

describe("tasks that share a segment", () => {
  test("go on when another one has given it up, and none waits for it", async () => {
    const files = failingFiles();
    const { environment } = files;
    const host = await openStateHost({ memoryBudgetBytes: 64 * MIB, environment });
    const tasks: KeyedStateBackend[] = [];
    for (const first of [0, 64]) {
      const backend = await openKeyedStateBackend({
        host,
        workingDirectory: join(root, `work-${first}`),
        checkpointStorage: fileSystemStorage(join(root, "checkpoints"), {}, environment),
        keyGroups: { max: 128, first, last: first + 63 },
        policy: "changelog",
        restore: { checkpointId: 0, handles: [] },
      });
      opened.push(backend);
      tasks.push(backend);
    }
    const [one, other] = tasks as [KeyedStateBackend, KeyedStateBackend];
    const fill = (backend: KeyedStateBackend, value: string, count: number, from = 0): void => {
      const text = backend.valueState({ name: "text", value: utf8 });
      for (let key = from; key < from + count; key++) {
        if (isOwn(backend, key)) backend.withKey(key, () => text.update(value));
      }
    };
    for (const backend of tasks) {
      fill(backend, "a", 100);
      await backend.snapshot(1).result;
      backend.notifyCheckpointComplete(1);
    }
    fill(one, "x".repeat(1000), 4000); // Appended ahead, and not synced.
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok((one.stats().changelog?.appends ?? 0) > 0);
    files.arm("sync", "EIO", 1);
    await assert.rejects(other.snapshot(2).result);
    other.notifyCheckpointAborted(2);
    // As much as the buffer takes: it must not wait for a log that nobody continues.
    for (let round = 0; round < 40; round++) {
      fill(one, String(round).repeat(500), 4000, round * 4000);
      if (one.needsDrain) await one.drained();
    }
    const { handle } = await one.snapshot(3).result;
    assert.equal(handle.log, undefined);
    await close(one);
    await close(other);
    await host.close();
  });
});
