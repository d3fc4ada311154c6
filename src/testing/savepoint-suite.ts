// Savepoints: the user's own, whole, and as of the call.
import assert from "node:assert/strict";
import { f64, i64, u32, utf8 } from "../index.ts";
import type { KeyedStateBackend } from "../index.ts";
import { keysOf, range, rejectsCode } from "./expect.ts";
import type { Suite, SuiteJob } from "./job.ts";

const formats = ["canonical", "native"] as const;
const KEYS = range(60);

function statesOf(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    list: backend.listState({ name: "list", element: utf8 }),
    map: backend.mapState({ name: "map", key: u32, value: i64 }),
    windows: backend.valueState({ name: "windows", value: i64, namespaces: true }),
  };
}

/** Small and large collections of each key, which tell the round. */
function write(backend: KeyedStateBackend, round: number): void {
  const { total, list, map, windows } = statesOf(backend);
  for (const key of KEYS) {
    backend.withKey(key, () => {
      total.update(key + round / 2);
      list.update(range(key * 10).map((index) => `round ${round}, ${index}`));
      for (const index of range(key * 10)) map.put(index, round);
      windows.setCurrentNamespace(`window ${key % 3}`);
      windows.update(round);
    });
  }
}

async function check(backend: KeyedStateBackend, round: number): Promise<void> {
  const { total, list, map, windows } = statesOf(backend);
  for (const key of KEYS) {
    backend.withKey(key, () => {
      assert.equal(total.value(), key + round / 2);
      const elements = range(key * 10).map((index) => `round ${round}, ${index}`);
      assert.deepEqual(list.get(), elements);
      assert.deepEqual(
        [...map],
        range(key * 10).map((index) => [index, round]),
      );
      windows.setCurrentNamespace(`window ${key % 3}`);
      assert.equal(windows.value(), round);
      windows.setCurrentNamespace("no window");
      assert.equal(windows.value(), undefined);
    });
  }
  assert.equal((await keysOf(total)).length, KEYS.length);
}

/** Another job, opened from the path. */
async function inAnother(
  job: SuiteJob,
  path: string,
  work: (backend: KeyedStateBackend, other: SuiteJob) => Promise<void>,
): Promise<void> {
  const other = job.sibling();
  try {
    await work(await other.open(path), other);
  } finally {
    await other.end();
  }
}

export function defineSavepointSuite(suite: Suite): void {
  suite.describe("savepoints", () => {
    for (const format of formats) {
      suite.savepoints(`${format}: come back in another job, as of the call`, async (job) => {
        const backend = await job.open();
        write(backend, 1);
        const path = job.savepointPath(format);
        const running = backend.savepoint(path, { format, metadata: { offset: 7 } });
        write(backend, 2);
        const savepoint = await running;
        assert.equal(savepoint.format, format);
        assert.equal(savepoint.location, path);
        assert.ok(savepoint.totalBytes > 0 && savepoint.fileCount > 0);
        await check(backend, 2);
        await job.close(backend);
        await inAnother(job, path, async (restored, other) => {
          assert.deepEqual(restored.restored?.metadata, { offset: 7 });
          assert.equal(restored.restored?.checkpointId, savepoint.checkpointId);
          await check(restored, 1);
          // It starts a life of its own.
          write(restored, 3);
          const { backend: again } = await other.checkpointAndReopen(restored);
          await check(again, 3);
        });
        // And stays what it was.
        await inAnother(job, path, (restored) => check(restored, 1));
      });

      suite.savepoints(`${format}: of no state restore to none`, async (job) => {
        const backend = await job.open();
        statesOf(backend);
        const path = job.savepointPath(format);
        await backend.savepoint(path, { format });
        await job.close(backend);
        await inAnother(job, path, async (restored) => {
          const { total } = statesOf(restored);
          assert.deepEqual(await keysOf(total), []);
        });
      });

      suite.savepoints(`${format}: outlive the checkpoints of their job`, async (job) => {
        let backend = await job.open();
        write(backend, 1);
        await backend.checkpoint();
        const path = job.savepointPath(format);
        await backend.savepoint(path, { format });
        for (const round of [2, 3, 4]) {
          write(backend, round);
          await backend.checkpoint();
        }
        backend = await job.reopen(backend); // Not what "latest" finds.
        await check(backend, 4);
        await job.close(backend);
        await inAnother(job, path, (restored) => check(restored, 1));
      });
    }

    suite.savepoints("are refused where something is, and change nothing", async (job) => {
      const backend = await job.open();
      write(backend, 1);
      const path = job.savepointPath("one");
      await backend.savepoint(path);
      write(backend, 2);
      await rejectsCode(backend.savepoint(path), "VARVE_INVALID_ARGUMENT");
      await check(backend, 2);
      await job.close(backend);
      await inAnother(job, path, (restored) => check(restored, 1));
    });
  });
}
