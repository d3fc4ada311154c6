// Goal: a job may change its policy at every restore, whatever else it does, and every checkpoint holds
// exactly what was there at its call.
// Method: a job with every type of state beside a model; each life takes checkpoints, goes on after
// the last one, and is thrown away.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "vitest";
import {
  type CheckpointPolicy,
  type CompletedCheckpoint,
  type KeyGroupRange,
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  type KeyedStateHandle,
  MIB,
  type RestoreTarget,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { busyChangelog } from "../support/busy-changelog.ts";
import { isLong, sample } from "../support/long-tests.ts";
import { SavepointJob } from "../support/savepoint-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

class Place {
  readonly root: string = temporaryDirectory();
  #opened = 0;

  open(
    policy: CheckpointPolicy,
    restore: RestoreTarget,
    options: Partial<KeyedStateBackendOptions> = {},
  ): Promise<KeyedStateBackend> {
    return openKeyedStateBackend({
      policy,
      ...(policy === "changelog" ? { changelog: busyChangelog } : {}),
      memoryBudgetBytes: 24 * MIB,
      lsm: { fileSizeBytes: MIB, writeBufferBytes: 131_072 },
      checkpointStorage: fileSystemStorage(join(this.root, "checkpoints")),
      workingDirectory: join(this.root, `work-${++this.#opened}`),
      restore,
      ...options,
    });
  }

  files(): string[] {
    return readdirSync(join(this.root, "checkpoints", "files"));
  }
}

/** The policies of the lives of a job, in their order: every change of one to another, and none. */
const lives: readonly CheckpointPolicy[] = [
  "changelog",
  "incremental",
  "changelog",
  "changelog",
  "full",
  "changelog",
  "full",
  "incremental",
  "full",
];

/** Three checkpoints with changes between, and changes after the last one. */
async function live(backend: KeyedStateBackend, job: SavepointJob): Promise<SavepointJob> {
  let frozen = job;
  let newest: CompletedCheckpoint | undefined;
  for (let checkpoint = 0; checkpoint < 3; checkpoint++) {
    await job.change([backend], 700);
    const running = backend.checkpoint({ checkpoint });
    frozen = job.freeze();
    await job.change([backend], 100); // While it is written: must not show up in it.
    newest = await running;
  }
  assert.ok(newest!.totalBytes > 0);
  await job.check(backend);
  return frozen;
}

describe("a job that changes its policy", () => {
  const ways = [
    ["verified before", {}],
    ["verified behind", { restoreVerification: "behind" }],
    ["with local recovery", { localRecovery: true }],
  ] satisfies [string, Partial<KeyedStateBackendOptions>][];
  test.each(sample(ways, 2))(
    "at every restore, %s, is exact",
    async (_name, options) => {
      const place = new Place();
      let job = new SavepointJob(800);
      let logged = 0;
      for (const [life, policy] of (isLong ? lives : lives.slice(0, 3)).entries()) {
        const backend = await place.open(policy, life === 0 ? "latest-or-new" : "latest", {
          ...options,
          workingDirectory: join(place.root, "work"),
        });
        assert.deepEqual(backend.restored?.metadata, life === 0 ? undefined : { checkpoint: 2 });
        await job.check(backend);
        job = await live(backend, job);
        logged += backend.stats().changelog?.appendedRows ?? 0;
        assert.equal(backend.stats().changelog !== undefined, policy === "changelog");
        await backend.close();
      }
      assert.ok(logged > 0, "nothing was logged");
    },
    120_000,
  );

  test("keeps no file of another policy once two checkpoints are past", async () => {
    const place = new Place();
    let job = new SavepointJob(400);
    const first = await place.open("changelog", "latest-or-new");
    job = await live(first, job);
    await first.close();
    const logged = new Set(place.files());
    const second = await place.open("full", "latest");
    await job.check(second);
    await live(second, job);
    await second.close();
    const left = place.files().filter((name) => logged.has(name));
    assert.deepEqual(left, []);
  }, 60_000);

  test("restores any retained checkpoint by its id", async () => {
    const place = new Place();
    const job = new SavepointJob(400);
    const models = new Map<number, SavepointJob>();
    const backend = await place.open("changelog", "latest-or-new", { retainedCheckpoints: 8 });
    for (let checkpoint = 0; checkpoint < 8; checkpoint++) {
      await job.change([backend], 500);
      const { checkpointId } = await backend.checkpoint();
      models.set(checkpointId, job.freeze());
      if (checkpoint % 3 === 2) await delay(150); // For a base in between.
    }
    await backend.close();
    assert.equal(models.size, 8);
    // As branches: the job's own storage is left as it is.
    for (const [id, model] of models) {
      const name = `000000000${id}`.slice(-10);
      const branch = await place.open(
        "incremental",
        join(place.root, "checkpoints/metadata", name),
        {
          checkpointStorage: fileSystemStorage(join(place.root, `branch-${id}`)),
        },
      );
      assert.equal(branch.restored?.checkpointId, id);
      await model.check(branch);
      await branch.close();
    }
  }, 60_000);
});

const groups = 32;

function rangesOf(parallelism: number): KeyGroupRange[] {
  const start = (task: number): number => Math.ceil((groups * task) / parallelism);
  return Array.from({ length: parallelism }, (_, task) => {
    return { max: groups, first: start(task), last: start(task + 1) - 1 };
  });
}

describe("rescaling", () => {
  const histories = [
    ["changelog all along", ["changelog", "changelog", "changelog", "changelog"]],
    ["the policy changed too", ["changelog", "incremental", "changelog", "full"]],
  ] satisfies [string, CheckpointPolicy[]][];
  test.each(sample(histories, 2))(
    "from 2 to 3 to 1 to 2 with logs, %s, loses no row",
    async (_name, policies) => {
      const place = new Place();
      let job = new SavepointJob(900);
      let handles: readonly KeyedStateHandle[] = [];
      let checkpointId = 0;
      let logs = 0;
      for (const [step, parallelism] of [2, 3, 1, 2].entries()) {
        const restore = step === 0 ? "latest-or-new" : { checkpointId, handles };
        const backends: KeyedStateBackend[] = [];
        for (const keyGroups of rangesOf(parallelism)) {
          backends.push(await place.open(policies[step]!, restore, { keyGroups }));
        }
        for (const backend of backends) await job.check(backend);
        for (let round = 0; round < 3; round++) {
          await job.change(backends, 800);
          checkpointId++;
          const id = checkpointId;
          const snapshots = backends.map((backend) => backend.snapshot(id));
          const frozen = job.freeze();
          await job.change(backends, 200); // After the cut: must not show up.
          const results = await Promise.all(snapshots.map(({ result }) => result));
          handles = results.map(({ handle }) => handle);
          for (const backend of backends) backend.notifyCheckpointComplete(id);
          for (const backend of backends) backend.notifyCheckpointSubsumed(id - 1);
          logs += handles.filter(({ log }) => log !== undefined).length;
          if (round === 2) {
            for (const backend of backends) await backend.close();
            job = frozen;
          }
        }
      }
      assert.ok(logs > 0, "no handle has a log");
    },
    120_000,
  );
});
