// Goal: local recovery changes nothing of what is restored, whatever a crash leaves in the working
// directory (L1 to L4 of src/checkpoint/local-files.ts).
// Method: the memory backend in an environment in memory takes checkpoints, and restarts in between.
// It is stopped at each file operation; then the disk is looked at as a power loss could leave it, and as
// the death of the process does, and restored with and without local recovery. Then random runs, with damage to the local files.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import type { CrashMode } from "../../src/environment/memory-file-system.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend, utf8 } from "../../src/index.ts";
import type { KeyedStateBackend } from "../../src/index.ts";
import { memoryEnvironment } from "../../src/testing/index.ts";
import type { MemoryEnvironment } from "../../src/testing/index.ts";
import { sample } from "../support/long-tests.ts";

type Disk = MemoryEnvironment["fileSystem"];
const local = "/work/local";
const keys = Array.from({ length: 12 }, (_none, index) => index);

class PowerLoss extends Error {}

function open(
  environment: MemoryEnvironment,
  localRecovery: boolean = true,
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    backend: "memory",
    workingDirectory: "/work",
    checkpointStorage: fileSystemStorage("/checkpoints", { transfer: "copy" }, environment),
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    localRecovery,
    environment,
  });
}

function statesOf(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    tags: backend.listState({ name: "tags", element: utf8 }),
  };
}

function write(backend: KeyedStateBackend, round: number): void {
  const { total, tags } = statesOf(backend);
  for (const key of keys) {
    backend.withKey(key, () => {
      total.update(round);
      if (key % 3 === round % 3) tags.add(`round ${round}`);
    });
  }
}

/** All that a backend holds. */
function contentOf(backend: KeyedStateBackend): unknown {
  const { total, tags } = statesOf(backend);
  return [
    backend.restored?.metadata,
    keys.map((key) => backend.withKey(key, () => [total.value(), tags.get()])),
  ];
}

async function restoredContent(
  disk: Disk,
  seed: number,
  localRecovery: boolean,
): Promise<{ readonly content: unknown; readonly stats: ReturnType<KeyedStateBackend["stats"]> }> {
  const backend = await open(memoryEnvironment({ fileSystem: disk, seed }), localRecovery);
  const result = { content: contentOf(backend), stats: backend.stats() };
  await backend.close();
  return result;
}

/** Restored with and without local recovery, a disk gives the same. */
async function assertSame(
  disk: Disk,
  seed: number,
  context: string,
): Promise<Awaited<ReturnType<typeof restoredContent>>> {
  const [one, other] = [disk.crash(() => 0.5), disk.crash(() => 0.5)]; // All is synced: copies.
  const without = await restoredContent(one, seed, false);
  const found = await restoredContent(other, seed + 1, true);
  assert.deepEqual(found.content, without.content, context);
  assert.equal(without.stats.localFiles, 0);
  return found;
}

describe("local recovery", () => {
  /** Three runs, each with two checkpoints. */
  async function runJob(disk: Disk, progress: { acknowledged: number }): Promise<void> {
    for (let run = 0; run < 3; run++) {
      const backend = await open(memoryEnvironment({ fileSystem: disk, seed: run + 1 }));
      for (let checkpoint = 0; checkpoint < 2; checkpoint++) {
        const round = run * 2 + checkpoint + 1;
        write(backend, round);
        await backend.checkpoint(round);
        progress.acknowledged = round;
      }
      await backend.close();
    }
  }

  test("restores what the newest checkpoint says after a crash at every operation", async () => {
    const calm = memoryEnvironment().fileSystem;
    await runJob(calm, { acknowledged: 0 });
    const total = calm.operationCount;
    assert.ok(total > 100, "the job does too little to test anything");
    const seen = { used: 0, rejected: 0 };
    const stops = sample([...Array(total).keys()], 5);
    for (const stopAt of stops) {
      const { fileSystem } = memoryEnvironment();
      const progress = { acknowledged: 0 };
      fileSystem.onOperation = (_operation, _path, index) => {
        if (index >= stopAt) throw new PowerLoss();
      };
      await runJob(fileSystem, progress).catch(() => undefined);
      const random = seededRandom(stopAt + 1);
      const modes: CrashMode[] = ["synced-only", random, () => 0, () => 0.999_999];
      const disks = modes.map((mode) => fileSystem.crash(mode));
      fileSystem.syncAll(); // The system survives the process, and writes all of it.
      disks.push(fileSystem.crash("synced-only"));
      for (const [index, disk] of disks.entries()) {
        disk.syncAll();
        const context = `stopped at operation ${stopAt} of ${total}, mode ${index}`;
        const { content, stats } = await assertSame(disk, 100 + index * 2, context);
        const [metadata] = content as [number | undefined];
        assert.ok((metadata ?? 0) >= progress.acknowledged, context);
        seen.used += stats.localFiles;
        seen.rejected += stats.localRejectedFiles;
      }
    }
    assert.ok(seen.used > 20 && seen.rejected > 0, JSON.stringify(seen));
  }, 120_000);

  test("fails no checkpoint and no restore where its own files cannot be made, read or removed", async () => {
    const calm = memoryEnvironment().fileSystem;
    const places: number[] = [];
    calm.onOperation = (_operation, path, index) => {
      if (path.startsWith(`${local}/`)) places.push(index);
    };
    await runJob(calm, { acknowledged: 0 });
    assert.ok(places.length > 20, "too few operations of local files");
    let failures = 0;
    for (const failAt of places) {
      for (const code of ["ENOSPC", "EIO"]) {
        const { fileSystem } = memoryEnvironment();
        fileSystem.onOperation = (_operation, _path, index) => {
          if (index === failAt) throw Object.assign(new Error(code), { code });
        };
        const progress = { acknowledged: 0 };
        await runJob(fileSystem, progress);
        fileSystem.onOperation = undefined;
        const context = `${code} at operation ${failAt}`;
        assert.equal(progress.acknowledged, 6, context);
        fileSystem.syncAll();
        const { content } = await assertSame(fileSystem, 50, context);
        assert.equal((content as [number])[0], 6, context);
        failures++;
      }
    }
    assert.ok(failures > 40);
  }, 120_000);

  const kinds = [
    "write",
    "checkpoint",
    "cut",
    "restart",
    "crash",
    "damage",
    "mix",
    "lose",
  ] as const;
  type Action = readonly [kind: (typeof kinds)[number], seed: number];
  const actionLists: fc.Arbitrary<Action[]> = fc.array(
    fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 1, max: 2 ** 31 - 1 })),
    { minLength: 10, maxLength: 40 },
  );

  /** Does to the local files what nobody should. */
  async function damage(disk: Disk, kind: Action[0], random: () => number): Promise<void> {
    const names = (await disk.stat(local)) === undefined ? [] : await disk.readDirectory(local);
    if (names.length === 0) return;
    const pathOf = (): string => `${local}/${names[Math.floor(random() * names.length)]!}`;
    const [path, other] = [pathOf(), pathOf()];
    const data = Uint8Array.from(await disk.readFile(kind === "mix" ? other : path));
    if (kind === "damage")
      data[Math.floor(random() * data.length)]! ^= 1 + Math.floor(random() * 255);
    await disk.unlink(path);
    if (kind === "lose") return;
    const file = await disk.create(path);
    await file.write(data.subarray(0, random() < 0.3 ? data.length >> 1 : data.length));
    await file.close();
  }

  test("gives the same state as without, whatever happened", async () => {
    const seen = { used: 0, rejected: 0 };
    const restore = async (disk: Disk, seed: number): Promise<void> => {
      const { stats } = await assertSame(disk, seed, `restored with seed ${seed}`);
      seen.used += stats.localFiles;
      seen.rejected += stats.localRejectedFiles;
    };
    await fc.assert(
      fc.asyncProperty(actionLists, async (actions) => {
        let { fileSystem } = memoryEnvironment();
        let seed = 1;
        let round = 0;
        let backend = await open(memoryEnvironment({ fileSystem, seed: seed++ }));
        statesOf(backend);
        for (const [kind, actionSeed] of actions) {
          const random = seededRandom(actionSeed);
          if (kind === "write") write(backend, ++round);
          else if (kind === "checkpoint") await backend.checkpoint(round);
          else if (kind === "cut") {
            const controller = new AbortController();
            const cut = backend.checkpoint(round, { signal: controller.signal });
            controller.abort(new Error("cut"));
            await cut.catch(() => undefined);
          } else if (kind === "restart" || kind === "crash") {
            const before = fileSystem;
            if (kind === "crash") fileSystem = before.crash(random);
            await backend.close();
            fileSystem.syncAll();
            await restore(fileSystem, (seed += 2));
            backend = await open(memoryEnvironment({ fileSystem, seed: seed++ }));
            statesOf(backend);
          } else await damage(fileSystem, kind, random);
        }
        await backend.close();
        fileSystem.syncAll();
        await restore(fileSystem, seed + 2);
      }),
      { seed: 20_260, numRuns: 60 },
    );
    assert.ok(seen.used > 50 && seen.rejected > 10, JSON.stringify(seen));
  }, 120_000);
});
