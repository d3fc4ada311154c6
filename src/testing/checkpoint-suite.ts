// Checkpoints and restoring from them.
import assert from "node:assert/strict";
import { f64, i64, u32, utf8 } from "../index.ts";
import type { KeyedStateBackend, JsonValue } from "../index.ts";
import { keysOf, namesOf, range, rejectsCode, throwsCode } from "./expect.ts";
import type { Suite } from "./job.ts";

const total = { name: "total", value: f64 } as const;

function read(backend: KeyedStateBackend, key: string | number): number | undefined {
  const state = backend.valueState(total);
  return backend.withKey(key, () => state.value());
}

function write(backend: KeyedStateBackend, key: string | number, value: number): void {
  const state = backend.valueState(total);
  backend.withKey(key, () => state.update(value));
}

export function defineCheckpointSuite(suite: Suite): void {
  suite.describe("checkpoints", () => {
    suite.test("cut at the call: what comes after is not in it", async (job) => {
      let backend = await job.open();
      const list = backend.listState({ name: "list", element: i64 });
      const map = backend.mapState({ name: "map", key: u32, value: i64 });
      const change = (value: number): void => {
        for (const key of range(20)) write(backend, key, value);
        backend.withKey("k", () => {
          for (const index of range(400)) {
            list.add(value);
            map.put(index * 2 + value, value);
          }
        });
      };
      change(1);
      const running = backend.checkpoint();
      change(2);
      for (const key of range(10)) backend.withKey(key, () => backend.valueState(total).clear());
      write(backend, "new", 3);
      await running;
      change(4);
      backend = await job.reopen(backend);
      for (const key of range(20)) assert.equal(read(backend, key), 1);
      assert.equal(read(backend, "new"), undefined);
      const restoredList = backend.listState({ name: "list", element: i64 });
      const restoredMap = backend.mapState({ name: "map", key: u32, value: i64 });
      backend.setCurrentKey("k");
      assert.deepEqual(
        restoredList.get(),
        Array.from({ length: 400 }, () => 1),
      );
      assert.deepEqual(
        [...restoredMap],
        range(400).map((index) => [index * 2 + 1, 1]),
      );
    });

    suite.test("metadata comes back as it was given", async (job) => {
      const values: (JsonValue | undefined)[] = [
        undefined,
        null,
        0,
        "text",
        [1, "2", null],
        { offsets: { "flights-0": "184467" }, done: false },
      ];
      let backend = await job.open();
      assert.equal(backend.restored, undefined);
      for (const value of values) {
        const taken = await job.checkpointAndReopen(backend, value);
        backend = taken.backend;
        const { checkpointId } = taken.checkpoint;
        assert.deepEqual(
          [backend.restored?.checkpointId, backend.restored?.metadata],
          [checkpointId, value],
        );
      }
    });

    suite.test("metadata that JSON cannot carry, or above a mebibyte, is refused", async (job) => {
      const backend = await job.open();
      write(backend, "k", 1);
      const cyclic: Record<string, unknown> = {};
      cyclic["self"] = cyclic;
      for (const value of [cyclic, { a: 1n }, () => 1, "x".repeat(2 ** 20)]) {
        await rejectsCode(backend.checkpoint(value as JsonValue), "VARVE_INVALID_ARGUMENT");
      }
      await backend.checkpoint("x".repeat(2 ** 19));
      write(backend, "k", 2);
      assert.equal(read(backend, "k"), 2);
    });

    suite.test("ids grow, also across restarts", async (job) => {
      let backend = await job.open();
      const ids: number[] = [];
      for (const _ of range(3)) {
        ids.push((await backend.checkpoint()).checkpointId);
        const taken = await job.checkpointAndReopen(backend);
        ids.push(taken.checkpoint.checkpointId);
        backend = taken.backend;
      }
      assert.deepEqual(
        ids,
        [...new Set(ids)].sort((a, b) => a - b),
      );
      assert.equal(backend.restored?.checkpointId, ids.at(-1));
    });

    suite.test(
      "a second one waits its turn, and each has what was there at its call",
      async (job) => {
        let backend = await job.open();
        const order: number[] = [];
        const taken = range(4).map((round) => {
          write(backend, "k", round);
          write(backend, round, round);
          return backend.checkpoint(round).then((done) => {
            order.push(round);
            return done.checkpointId;
          });
        });
        write(backend, "k", 99);
        const ids = await Promise.all(taken);
        assert.deepEqual(order, range(4));
        assert.deepEqual(
          ids,
          [...ids].sort((a, b) => a - b),
        );
        backend = await job.reopen(backend);
        assert.deepEqual(
          [read(backend, "k"), read(backend, 3), backend.restored?.metadata],
          [3, 3, 3],
        );
      },
    );

    suite.test("one of a backend without state restores to nothing", async (job) => {
      let backend = await job.open();
      ({ backend } = await job.checkpointAndReopen(backend, "empty"));
      assert.equal(backend.restored?.metadata, "empty");
      assert.equal(read(backend, "k"), undefined);
      ({ backend } = await job.checkpointAndReopen(backend));
      write(backend, "k", 1);
      ({ backend } = await job.checkpointAndReopen(backend));
      assert.equal(read(backend, "k"), 1);
    });

    suite.test("changes of many rounds add up, removals included", async (job) => {
      let backend = await job.open();
      const model = new Map<number, number>();
      for (const round of range(8)) {
        for (const key of range(200)) {
          const state = backend.valueState(total);
          if ((key * 7 + round) % 5 === 0) {
            backend.withKey(key, () => state.clear());
            model.delete(key);
          } else if ((key + round) % 3 === 0) {
            write(backend, key, round * 1000 + key);
            model.set(key, round * 1000 + key);
          }
        }
        if (round % 3 === 2) ({ backend } = await job.checkpointAndReopen(backend));
        else await backend.checkpoint();
        for (const key of range(200)) assert.equal(read(backend, key), model.get(key));
      }
      assert.deepEqual(await keysOf(backend.valueState(total)), namesOf([...model.keys()]));
    });

    suite.test("not taken: what was not in one is gone", async (job) => {
      let backend = await job.open();
      write(backend, "k", 1);
      await backend.checkpoint();
      write(backend, "k", 2);
      backend = await job.reopen(backend);
      assert.equal(read(backend, "k"), 1);
      write(backend, "k", 3);
      backend = await job.reopen(backend);
      assert.equal(read(backend, "k"), 1);
    });

    suite.test("within a withKey callback is refused", async (job) => {
      const backend = await job.open();
      let result: Promise<unknown> | undefined;
      backend.withKey("k", () => {
        result = backend.checkpoint();
        result.catch(() => undefined);
      });
      await rejectsCode(result!, "VARVE_INVALID_ARGUMENT");
      await backend.checkpoint();
    });

    suite.test(
      "that its signal aborts rejects with the reason, and the next one works",
      async (job) => {
        let backend = await job.open();
        for (const key of range(500)) write(backend, key, key);
        const reason = new Error("enough");
        const isReason = (error: unknown): boolean => error === reason;
        const aborted = AbortSignal.abort(reason);
        await assert.rejects(backend.checkpoint(1, { signal: aborted }), isReason);
        const controller = new AbortController();
        const running = backend.checkpoint(2, { signal: controller.signal });
        controller.abort(reason);
        await assert.rejects(running, isReason);
        ({ backend } = await job.checkpointAndReopen(backend, 3));
        assert.deepEqual([backend.restored?.metadata, read(backend, 499)], [3, 499]);
      },
    );

    suite.optional("bulk", "of tens of mebibytes hold every row", async (job) => {
      let backend = await job.open();
      const state = backend.valueState({ name: "bulk", value: utf8 });
      const value = (key: number): string => `${key}:`.repeat(100);
      for (const key of range(30_000)) {
        if (backend.needsDrain) await backend.drained();
        backend.withKey(key, () => state.update(value(key)));
      }
      ({ backend } = await job.checkpointAndReopen(backend));
      const restored = backend.valueState({ name: "bulk", value: utf8 });
      for (const key of range(30_000)) {
        const found = backend.withKey(key, () => restored.value());
        if (found !== value(key)) assert.fail(`key ${key}`);
      }
    });
  });
  defineRestoreSuite(suite);
  defineSnapshotSuite(suite);
}

function defineRestoreSuite(suite: Suite): void {
  suite.describe("restoring", () => {
    suite.test("the latest of none is refused, and latest-or-new starts empty", async (job) => {
      await rejectsCode(job.open("latest"), "VARVE_CHECKPOINT_NOT_FOUND");
      const backend = await job.open("latest-or-new");
      assert.equal(backend.restored, undefined);
      await job.close(backend);
      await rejectsCode(job.open("latest"), "VARVE_CHECKPOINT_NOT_FOUND");
    });

    suite.test("latest-or-new restores where there is a checkpoint", async (job) => {
      let backend = await job.open();
      write(backend, "k", 1);
      await backend.checkpoint("m");
      backend = await job.reopen(backend, "latest-or-new");
      assert.deepEqual([backend.restored?.metadata, read(backend, "k")], ["m", 1]);
    });

    suite.optional(
      "restoreById",
      "an id restores that checkpoint, and the job goes on from it",
      async (job) => {
        let backend = await job.open();
        write(backend, "k", 1);
        const first = await backend.checkpoint("first");
        write(backend, "k", 2);
        write(backend, "later", 2);
        await backend.checkpoint("second");
        backend = await job.reopen(backend, first.checkpointId);
        assert.deepEqual(
          [backend.restored?.checkpointId, backend.restored?.metadata],
          [first.checkpointId, "first"],
        );
        assert.deepEqual([read(backend, "k"), read(backend, "later")], [1, undefined]);
        write(backend, "k", 3);
        ({ backend } = await job.checkpointAndReopen(backend, "third"));
        assert.deepEqual([backend.restored?.metadata, read(backend, "k")], ["third", 3]);
        assert.equal(read(backend, "later"), undefined);
      },
    );

    suite.optional("restoreById", "an id that does not exist is refused", async (job) => {
      const backend = await job.open();
      const { checkpointId } = await backend.checkpoint();
      await job.close(backend);
      await rejectsCode(job.open(checkpointId + 100), "VARVE_CHECKPOINT_NOT_FOUND");
    });

    suite.test("states that the job does not use are carried on if it says so", async (job) => {
      let backend = await job.open();
      const old = backend.valueState({ name: "old", value: utf8 });
      const oldMap = backend.mapState({ name: "old map", key: u32, value: i64 });
      backend.withKey("k", () => {
        old.update("kept");
        for (const key of range(800)) oldMap.put(key, key);
      });
      for (const round of range(3)) {
        await backend.checkpoint();
        await job.close(backend);
        backend = await job.open("latest", undefined, ["old", "old map"]);
        write(backend, "k", round);
      }
      await backend.checkpoint();
      const restored = backend.valueState({ name: "old", value: utf8 });
      const map = backend.mapState({ name: "old map", key: u32, value: i64 });
      assert.equal(
        backend.withKey("k", () => restored.value()),
        "kept",
      );
      assert.equal(
        backend.withKey("k", () => [...map].length),
        800,
      );
      throwsCode(
        () => backend.valueState({ name: "old", value: f64 }),
        "VARVE_INCOMPATIBLE_SERIALIZER",
      );
    });

    suite.test("jobs of different names share nothing", async (job) => {
      let backend = await job.open();
      write(backend, "k", 1);
      ({ backend } = await job.checkpointAndReopen(backend));
      assert.equal(read(backend, "k"), 1);
      const other = job.sibling();
      try {
        await rejectsCode(other.open("latest"), "VARVE_CHECKPOINT_NOT_FOUND");
        const beside = await other.open();
        assert.equal(read(beside, "k"), undefined);
        write(beside, "k", 2);
        await beside.checkpoint();
        assert.equal(read(backend, "k"), 1);
      } finally {
        await other.end();
      }
    });

    suite.optional(
      "keyGroupRanges",
      "a backend takes the keys of its key groups and no others",
      async (job) => {
        const keyGroups = { max: 4, first: 1, last: 2 };
        let backend = await job.open("latest-or-new", keyGroups);
        const owned: number[] = [];
        for (const key of range(100)) {
          try {
            write(backend, key, key);
            owned.push(key);
          } catch (error) {
            assert.equal((error as { code?: string }).code, "VARVE_INVALID_ARGUMENT");
            assert.equal(backend.currentKey(), undefined);
          }
        }
        assert.ok(owned.length > 20 && owned.length < 80, `${owned.length} of 100 keys`);
        await backend.checkpoint();
        await job.close(backend);
        await rejectsCode(job.open("latest"), "VARVE_INVALID_ARGUMENT");
        backend = await job.open("latest", keyGroups);
        assert.deepEqual(backend.keyGroups, keyGroups);
        assert.deepEqual(await keysOf(backend.valueState(total)), namesOf(owned));
      },
    );
  });
}

function defineSnapshotSuite(suite: Suite): void {
  suite.describe("snapshots", () => {
    suite.optional("snapshots", "yield plain data and do not disturb what goes on", async (job) => {
      const backend = await job.open();
      for (const key of range(100)) write(backend, key, key);
      const first = backend.snapshot(1);
      for (const key of range(100)) write(backend, key, key + 1);
      const second = backend.snapshot(2);
      for (const snapshot of [first, second]) {
        const { handle, files } = await snapshot.result;
        assert.deepEqual(handle, JSON.parse(JSON.stringify(handle)));
        assert.deepEqual(handle.keyGroups, backend.keyGroups);
        assert.ok(files.length >= 1);
        assert.deepEqual(
          handle.states.map((state) => state.name),
          ["total"],
        );
      }
      backend.notifyCheckpointComplete(1);
      backend.notifyCheckpointAborted(2);
      backend.notifyCheckpointSubsumed(1);
      backend.notifyCheckpointComplete(77); // Never heard of: late notifications are normal.
      for (const key of range(100)) assert.equal(read(backend, key), key + 1);
    });

    suite.optional("snapshots", "refuse what is no id, and a cut within a record", async (job) => {
      const backend = await job.open();
      for (const id of [0, -1, 1.5, NaN]) {
        throwsCode(() => backend.snapshot(id), "VARVE_INVALID_ARGUMENT");
      }
      backend.withKey("k", () => {
        throwsCode(() => backend.snapshot(1), "VARVE_INVALID_ARGUMENT");
      });
    });
  });
}
