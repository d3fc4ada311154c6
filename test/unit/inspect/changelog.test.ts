// Goal: tools see of a checkpoint with a log what the backend served when it was taken.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { fileName } from "../../../src/checkpoint/layout.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import type { KeyedStateBackend } from "../../../src/index.ts";
import {
  type CheckpointView,
  convertCheckpoint,
  copyCheckpoint,
  diffCheckpoints,
  listCheckpoints,
  openCheckpoint,
  verifyCheckpoint,
} from "../../../src/inspect/index.ts";
import { LoggedRows } from "../../../src/inspect/logged-rows.ts";
import { opened } from "../../../src/inspect/open-checkpoint.ts";
import { type Row, type RowSource, rangeOfGroups } from "../../../src/inspect/row-source.ts";
import { Scratch } from "../../../src/inspect/scratch.ts";
import {
  type Contents,
  KEYS,
  assertSame,
  openJob,
  remove,
  scanned,
  served,
  statesOf,
  write,
} from "../../support/inspected-job.ts";
import { sample } from "../../support/long-tests.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

interface Made {
  readonly folder: string;
  readonly directory: string;
  readonly expected: ReadonlyMap<number, Contents>;
}

/** Appends to lists that are not read before. */
function appendOnly(job: KeyedStateBackend, version: number): void {
  const { list, windowList } = statesOf(job);
  for (const [index, key] of KEYS.entries()) {
    if (index % 2 === 0) continue;
    job.withKey(key, () => {
      list.addAll(Array.from({ length: index * 9 }, (_none, at) => `appended ${at} ${version}`));
      windowList.setCurrentNamespace("xa");
      windowList.add(version);
    });
  }
}

/** Checkpoints of a base with a log that grows: puts, removals, appends. */
async function made(): Promise<Made> {
  const folder = mkdtempSync(join(tmpdir(), "varve-changelog-"));
  const options = { retainedCheckpoints: 10, policy: "changelog" } as const;
  const expected = new Map<number, Contents>();
  const checkpoint = async (job: KeyedStateBackend): Promise<void> => {
    const { checkpointId } = await job.checkpoint({ at: expected.size });
    expected.set(checkpointId, served(job));
  };
  const job = await openJob(folder, options);
  write(job, 0);
  await checkpoint(job);
  for (const step of [remove, (own: KeyedStateBackend) => write(own, 1, 3)]) {
    step(job);
    await checkpoint(job);
    appendOnly(job, expected.size);
    await checkpoint(job);
  }
  await job.close();
  return { folder, directory: join(folder, "checkpoints"), expected };
}

let once: Promise<Made>;
beforeAll(() => {
  once = made();
  return once;
});
afterAll(async () => rmSync((await once).folder, { recursive: true, force: true }));

async function viewing<R>(
  source: string,
  checkpointId: number | undefined,
  work: (view: CheckpointView) => Promise<R>,
): Promise<R> {
  const view = await openCheckpoint(source, checkpointId === undefined ? {} : { checkpointId });
  try {
    return await work(view);
  } finally {
    await view.close();
  }
}

function logOf({ metadata }: CheckpointView) {
  return metadata.handles[0]!.log;
}

async function bytesOf(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path, (await readFile(path)).toString("base64"));
  }
  return found;
}

describe("a checkpoint with a log", () => {
  test("shows what the backend served, and nothing is written into it", async () => {
    const { directory, expected } = await once;
    const before = await bytesOf(directory);
    let logs = 0;
    for (const [checkpointId, contents] of sample([...expected].toReversed(), 2)) {
      await viewing(directory, checkpointId, async (view) => {
        logs += logOf(view)?.segments.length ?? 0;
        assertSame(await scanned(view), contents);
        for (const key of KEYS) {
          const entry = await view.get("list", key);
          const keyed = await view.get("value", key);
          for await (const own of view.scan("list", { key })) assert.deepEqual(own, entry);
          for await (const own of view.scan("value", { key })) assert.deepEqual(own, keyed);
        }
      });
    }
    assert.ok(logs >= 2, `${logs} segments in all`);
    assert.deepEqual(await bytesOf(directory), before);
  });

  test("is the same where the log is sorted through files", async () => {
    const { directory, expected } = await once;
    const scratch = new Scratch(nodeEnvironment(), join(temporaryDirectory(), "scratch-"));
    await viewing(directory, [...expected.keys()].at(-1), async (view) => {
      const part = opened(view).parts[0]!;
      const tight = new LoggedRows(await part.baseRows(), await part.log(), scratch, 2000);
      const rowsOf = async (source: RowSource): Promise<string[]> => {
        const rows: Row[] = [];
        for await (const batch of source.rows(rangeOfGroups(0, 127))) rows.push(...batch);
        return rows.map(({ key, row }) => Buffer.concat([key, row]).toString("hex"));
      };
      const [whole, small] = [await rowsOf(await part.rows()), await rowsOf(tight)];
      assert.ok(whole.length > 500, `${whole.length} rows`);
      assert.deepEqual(small, whole);
      assert.deepEqual(whole, [...whole].sort());
      assert.ok((await readdir(scratch.path)).length > 0);
      await scratch.close();
      await assert.rejects(stat(scratch.path), { code: "ENOENT" });
    });
  });

  test("is intact, differs from others in what changed, and is listed", async () => {
    const { directory, expected } = await once;
    const ids = [...expected.keys()];
    for (const id of sample(ids.toReversed(), 4)) {
      const report = await viewing(directory, id, (view) => verifyCheckpoint(view, { rows: true }));
      assert.deepEqual(report.damaged, []);
    }
    const [older, newer] = [ids.at(-2)!, ids.at(-1)!];
    await viewing(directory, older, (before) =>
      viewing(directory, newer, async (after) => {
        const changed = new Set<string>();
        for await (const { state, change, before: old, after: current } of diffCheckpoints(
          before,
          after,
        )) {
          changed.add(state);
          assert.notEqual(change, "removed");
          const [was, is] = [(old ?? []) as unknown[], current as unknown[]];
          assert.deepEqual(is.slice(0, was.length), was);
        }
        assert.deepEqual([...changed].sort(), ["list", "window list"]);
      }),
    );
    const { checkpoints } = await listCheckpoints(directory);
    const [newest] = checkpoints;
    assert.ok(newest!.logBytes > 0 && newest!.segmentCount > 0);
    assert.ok(newest!.newBytes! < newest!.totalBytes);
    assert.equal(newest!.newBytes! + newest!.sharedBytes!, newest!.totalBytes);
  });

  test("is copied with segments of exactly the length that it names", async () => {
    const { directory, expected } = await once;
    const id = [...expected.keys()].at(-3)!;
    const target = join(temporaryDirectory(), "copy");
    const segments = await viewing(directory, id, async (view) => {
      await copyCheckpoint(view, target);
      return logOf(view)!.segments;
    });
    for (const { id: segment, lengthBytes } of segments) {
      assert.equal((await stat(join(target, fileName(segment)))).size, lengthBytes);
      assert.ok((await stat(join(directory, fileName(segment)))).size > lengthBytes);
    }
    await viewing(target, undefined, async (view) => {
      assert.ok((await verifyCheckpoint(view, { rows: true })).isIntact);
      assertSame(await scanned(view), expected.get(id)!);
    });
    const job = await openJob(temporaryDirectory(), { policy: "incremental", restore: target });
    assertSame(served(job), expected.get(id)!);
    await job.close();
  });

  const conversions = [
    ["canonical rows", { format: "canonical" }],
    ["tables", { format: "native", backend: "lsm" }],
    ["another number of key groups", { format: "native", backend: "lsm", keyGroups: 40 }],
    ["a dump", { format: "native", backend: "memory" }],
  ] as const;
  for (const [what, options] of sample(conversions, 2)) {
    test(`is converted to ${what}`, async () => {
      const { directory, expected } = await once;
      const folder = temporaryDirectory();
      const target = join(folder, "saved");
      const contents = [...expected.values()].at(-1)!;
      await convertCheckpoint({ source: directory, target, ...options });
      assert.deepEqual(await readdir(folder), ["saved"]);
      await viewing(target, undefined, async (view) => {
        assert.equal(logOf(view), undefined);
        assert.ok((await verifyCheckpoint(view, { rows: true })).isIntact);
        assertSame(await scanned(view), contents);
      });
      const backend = "backend" in options && options.backend === "memory" ? "memory" : "lsm";
      const keyGroups = { max: "keyGroups" in options ? options.keyGroups : 128 };
      const restored = await openJob(folder, { backend, keyGroups, restore: target });
      assertSame(served(restored), contents);
      await restored.close();
    });
  }
});

describe("damage to a log", () => {
  async function copied(): Promise<{ directory: string; path: string; lengthBytes: number }> {
    const { directory } = await once;
    const target = join(temporaryDirectory(), "copy");
    await mkdir(target, { recursive: true });
    await viewing(directory, undefined, (view) => copyCheckpoint(view, join(target, "c")));
    return viewing(join(target, "c"), undefined, (view) => {
      const { id, lengthBytes } = logOf(view)!.segments.at(-1)!;
      const path = join(target, "c", fileName(id));
      return Promise.resolve({ directory: join(target, "c"), path, lengthBytes });
    });
  }
  const verified = (directory: string) =>
    viewing(directory, undefined, (view) => verifyCheckpoint(view));

  test("is named with its file and key groups, and nothing is served", async () => {
    const { directory, path, lengthBytes } = await copied();
    const bytes = await readFile(path);
    bytes[lengthBytes >> 1]! ^= 1;
    await writeFile(path, bytes);
    const { damaged, isIntact } = await verified(directory);
    assert.equal(isIntact, false);
    assert.equal(damaged.length, 1);
    const [only] = damaged;
    assert.equal(only!.kind, "segment");
    assert.equal(only!.path, path);
    assert.deepEqual(only!.keyGroups, { first: 0, last: 127 });
    assert.match(only!.message, /SHA-256/);
    await viewing(directory, undefined, async (view) => {
      await assert.rejects(view.get("value", 1), { code: "VARVE_CORRUPTION" });
    });
    const target = join(temporaryDirectory(), "saved");
    const refused = { code: "VARVE_CORRUPTION" };
    await assert.rejects(convertCheckpoint({ source: directory, target }), refused);
    await viewing(directory, undefined, async (view) => {
      await assert.rejects(copyCheckpoint(view, target), refused);
    });
    await assert.rejects(stat(target), { code: "ENOENT" });
  });

  test("by a cut is named; bytes behind the length are nobody's", async () => {
    const { directory, path, lengthBytes } = await copied();
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.from("torn tail")]));
    assert.ok((await verified(directory)).isIntact);
    await truncate(path, lengthBytes - 1);
    const { damaged } = await verified(directory);
    assert.deepEqual(
      damaged.map(({ path: found, kind }) => [found, kind]),
      [[path, "segment"]],
    );
  });
});
