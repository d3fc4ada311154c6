// Goal: a view tells of a checkpoint what the backend served when it was taken.
import assert from "node:assert/strict";
import { chmod, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { openCheckpointStore } from "../../../src/checkpoint/checkpoint-store.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import {
  type Serializer,
  f64,
  fileSystemStorage,
  openStateHost,
  MIB,
  struct,
  u32,
  utf8,
  v8,
} from "../../../src/index.ts";
import { type CheckpointView, openCheckpoint } from "../../../src/inspect/index.ts";
import { openWorkerPool } from "../../../src/workers/worker-pool.ts";
import {
  type Contents,
  KEYS,
  NAMESPACES,
  assertSame,
  keyText,
  openJob,
  remove,
  scanned,
  served,
  write,
} from "../../support/inspected-job.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { sample } from "../../support/long-tests.ts";

const backends = ["lsm", "memory"] as const;

async function viewing<R>(
  source: Parameters<typeof openCheckpoint>[0],
  work: (view: CheckpointView) => Promise<R>,
  options: Parameters<typeof openCheckpoint>[1] = {},
): Promise<R> {
  const view = await openCheckpoint(source, options);
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

describe("a checkpoint view", () => {
  for (const backend of backends) {
    test(`shows every state of every retained checkpoint, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const directory = join(folder, "checkpoints");
      const job = await openJob(folder, { backend, retainedCheckpoints: 10 });
      const expected = new Map<number, Contents>();
      const checkpoint = async (): Promise<void> => {
        const contents = served(job);
        expected.set((await job.checkpoint({ at: expected.size })).checkpointId, contents);
      };
      write(job, 0);
      await checkpoint();
      remove(job);
      await checkpoint();
      write(job, 1, 3);
      await checkpoint();
      for (const [checkpointId, contents] of sample([...expected], 3)) {
        await viewing(
          directory,
          async (view) => {
            assert.equal(view.checkpointId, checkpointId);
            assert.deepEqual(view.metadata.userMetadata, { at: checkpointId - 1 });
            assertSame(await scanned(view), contents);
            await assertGets(view, contents);
          },
          { checkpointId },
        );
      }
      await job.close();
      const [, location] = [...(await readdir(join(directory, "metadata")))].sort();
      await viewing(join(directory, "metadata", location!), async (view) => {
        assertSame(await scanned(view), expected.get(2)!);
      });
    });
  }

  test("of several handles shows all of their key groups", async () => {
    const folder = temporaryDirectory();
    const storage = fileSystemStorage(join(folder, "checkpoints"));
    const environment = nodeEnvironment();
    const host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
    const pool = await openWorkerPool({ environment, threads: 1 });
    const ranges = [
      { max: 128, first: 70, last: 127 },
      { max: 128, first: 0, last: 69 },
    ];
    const contents: Contents = new Map();
    const snapshots = [];
    const store = await openCheckpointStore({
      storage,
      environment,
      pool,
      backendKind: "lsm",
      retainedCheckpoints: 1,
    });
    for (const keyGroups of ranges) {
      const job = await openJob(join(folder, String(keyGroups.first)), {
        checkpointStorage: storage,
        keyGroups,
        host,
        memoryBudgetBytes: undefined,
      });
      const value = job.valueState({ name: "value", value: f64 });
      const own = new Map<string, unknown>(contents.get("value") ?? []);
      for (let key = 0; key < 500; key++) {
        try {
          job.withKey(key, () => value.update(key / 7));
        } catch {
          continue; // Of the other half.
        }
        own.set(keyText(key), key / 7);
      }
      contents.set("value", own);
      snapshots.push(await job.snapshot(1).result);
      await job.close();
    }
    const policy = "incremental";
    await store.commit({ checkpointId: 1, policy, snapshots, userMetadata: undefined });
    await store.close();
    await pool.close();
    await host.close();
    assert.equal(contents.get("value")!.size, 500);
    await viewing(storage, async (view) => {
      assert.equal(view.metadata.handles.length, 2);
      assertSame(await scanned(view), contents);
      await assertGets(
        view,
        contents,
        Array.from({ length: 500 }, (_none, key) => key),
      );
    });
  });

  for (const backend of backends) {
    test(`scans by prefix, key, namespace and key groups, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const job = await openJob(folder, { backend });
      write(job, 0);
      const contents = served(job);
      await job.checkpoint();
      await job.close();
      await viewing(join(folder, "checkpoints"), async (view) => {
        const keys = async (options: Parameters<CheckpointView["scan"]>[1], state = "value") => {
          const found: string[] = [];
          for await (const { key, namespace } of view.scan(state, options)) {
            found.push(keyText(key, namespace));
          }
          return found.sort();
        };
        const prefixed = (prefix: string): string[] =>
          KEYS.filter((key) => typeof key === "string" && key.startsWith(prefix))
            .map((key) => keyText(key))
            .sort();
        for (const prefix of ["prefix-", "prefix-\u0000", "key 1", "Z", "Zü", "nothing", ""]) {
          assert.deepEqual(await keys({ prefix }), prefixed(prefix), prefix);
        }
        assert.deepEqual(await keys({ prefix: new Uint8Array([0, 1]) }), ["bytes 0001ff"]);
        assert.deepEqual(await keys({ prefix: new Uint8Array([0, 2]) }), []);
        assert.deepEqual(
          await keys({ key: "key 7" }, "window"),
          NAMESPACES.map((namespace) => keyText("key 7", namespace)).sort(),
        );
        // "xa" ends as "a" does, and a length of 0 has a key too.
        for (const namespace of NAMESPACES) {
          for (const state of ["window", "window list", "window map"]) {
            const own = [...contents.get(state)!.keys()].filter((text) =>
              text.endsWith(` in ${keyText(namespace)}`),
            );
            assert.deepEqual(
              await keys({ namespace }, state),
              own.sort(),
              `${state} ${String(namespace)}`,
            );
          }
        }
        const halves = [
          ...(await keys({ keyGroups: { first: 0, last: 63 } })),
          ...(await keys({ keyGroups: { first: 64, last: 127 } })),
        ];
        assert.deepEqual(halves.sort(), await keys({}));
        assert.deepEqual(await keys({ keyGroups: { first: 128, last: 200 } }), []);
      });
    });

    test(`counts what is stored by state and key group, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const job = await openJob(folder, { backend });
      write(job, 0);
      remove(job);
      const contents = served(job);
      await job.checkpoint();
      await job.close();
      await viewing(join(folder, "checkpoints"), async (view) => {
        const counts = new Map<string, number>();
        let [rows, before] = [0, -1];
        for await (const part of view.statistics()) {
          assert.ok(part.keyGroup >= before);
          assert.ok(part.rows >= part.keys && part.bytes > part.rows * 9);
          before = part.keyGroup;
          rows += part.rows;
          counts.set(part.state!, (counts.get(part.state!) ?? 0) + part.keys);
        }
        for (const [state, entries] of contents)
          assert.equal(counts.get(state), entries.size, state);
        const files = await view.files();
        const recorded = files.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
        if (backend === "memory") assert.equal(rows, recorded);
      });
    });
  }

  test("gives bytes where a serializer is unknown, and decodes by one that is given", async () => {
    const folder = temporaryDirectory();
    const own: Serializer<number> = {
      fingerprint: "mine@1",
      fixedBytes: 4,
      serialize: (value, sink) => sink.u32(value + 1),
      deserialize: (source) => source.u32() - 1,
    };
    const job = await openJob(folder);
    job.withKey("a", () => {
      job.valueState({ name: "mine", value: own }).update(7);
      job.valueState({ name: "v8", value: v8<Map<string, number>>() }).update(new Map([["x", 1]]));
      job.mapState({ name: "map", key: utf8, value: own }).put("k", 8);
      job.valueState({ name: "nested", value: struct({ a: own, b: u32 }) }).update({ a: 1, b: 2 });
    });
    await job.checkpoint();
    await job.close();
    const directory = join(folder, "checkpoints");
    await viewing(directory, async (view) => {
      const decodable = view.states().map(({ name, isDecodable }) => [name, isDecodable]);
      assert.deepEqual(decodable, [
        ["map", false],
        ["mine", false],
        ["nested", false],
        ["v8", false],
      ]);
      const mine = await view.get("mine", "a");
      assert.equal(mine?.isDecoded, false);
      assert.deepEqual(mine.value, new Uint8Array([8, 0, 0, 0]));
      assert.deepEqual((await view.get("map", "a"))?.value, [["k", new Uint8Array([9, 0, 0, 0])]]);
      assert.ok((await view.get("v8", "a"))?.value instanceof Uint8Array);
    });
    const options = { serializers: [own as unknown as Serializer<unknown>], trustV8: true };
    await viewing(
      directory,
      async (view) => {
        assert.equal((await view.get("mine", "a"))?.value, 7);
        assert.deepEqual((await view.get("nested", "a"))?.value, { a: 1, b: 2 });
        assert.deepEqual((await view.get("map", "a"))?.value, [["k", 8]]);
        assert.deepEqual((await view.get("v8", "a"))?.value, new Map([["x", 1]]));
      },
      options,
    );
  });

  test("says what is wrong with a call", async () => {
    const folder = temporaryDirectory();
    const job = await openJob(folder);
    write(job, 0, 10);
    await job.checkpoint();
    await job.close();
    const directory = join(folder, "checkpoints");
    const invalid = { code: "VARVE_INVALID_ARGUMENT" };
    const absent = { code: "VARVE_CHECKPOINT_NOT_FOUND" };
    await assert.rejects(openCheckpoint(join(folder, "none")), absent);
    await assert.rejects(openCheckpoint(directory, { checkpointId: 9 }), absent);
    await assert.rejects(openCheckpoint(directory, { checkpointId: -1 }), invalid);
    const metadata = join(directory, "metadata", "0000000001");
    await assert.rejects(openCheckpoint(metadata, { checkpointId: 1 }), invalid);
    await assert.rejects(openCheckpoint(join(directory, "metadata", "7")), invalid);
    const view = await openCheckpoint(metadata);
    const next = (state: string, options = {}) => view.scan(state, options).next();
    await assert.rejects(next("no such state"), invalid);
    await assert.rejects(view.get("window", 1), invalid);
    await assert.rejects(view.get("value", 1, 1), invalid);
    await assert.rejects(next("value", { prefix: "a", key: "b" }), invalid);
    const scan = view.scan("value");
    await scan.next();
    await view.close();
    await view.close();
    await assert.rejects(
      (async () => {
        for await (const entry of scan) void entry;
      })(),
      { code: "VARVE_CLOSED" },
    );
    await assert.rejects(view.files(), { code: "VARVE_CLOSED" });
    await assert.rejects(next("value"), { code: "VARVE_CLOSED" });
  });

  test("reads a directory where nothing may be written", async () => {
    const folder = temporaryDirectory();
    const job = await openJob(folder);
    write(job, 0, 4);
    const contents = served(job);
    await job.checkpoint();
    await job.close();
    const directory = join(folder, "checkpoints");
    const folders = [join(directory, "files"), join(directory, "metadata"), directory];
    for (const path of folders) await chmod(path, 0o500);
    try {
      await viewing(directory, async (view) => assertSame(await scanned(view), contents));
    } finally {
      for (const path of folders) await chmod(path, 0o700);
    }
  });
});

async function assertGets(
  view: CheckpointView,
  contents: Contents,
  keys: readonly (string | number | bigint | Uint8Array)[] = KEYS,
): Promise<void> {
  for (const { name, namespaces } of view.states()) {
    const entries = contents.get(name)!;
    for (const key of keys) {
      for (const namespace of namespaces ? NAMESPACES : [undefined]) {
        const entry = await view.get(name, key, namespace);
        assert.deepEqual(
          entry?.value,
          entries.get(keyText(key, namespace)),
          `${name} ${String(key)}`,
        );
      }
    }
    assert.equal(await view.get(name, "no such key", namespaces ? 0 : undefined), undefined);
  }
}
