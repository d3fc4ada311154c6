// Savepoints: what is written is what is restored, whichever backends, formats and key groups.
import assert from "node:assert/strict";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type {
  KeyGroupRange,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  RestoreTarget,
  SavepointFormat,
} from "../../src/index.ts";
import { busyChangelog } from "../support/busy-changelog.ts";
import { SavepointJob } from "../support/savepoint-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { sample } from "../support/long-tests.ts";

type Kind = "lsm" | "memory" | "changelog";

const lsm: Partial<KeyedStateBackendOptions> = {
  backend: "lsm",
  memoryBudgetBytes: 24 * MIB,
  lsm: { fileSizeBytes: MIB, writeBufferBytes: 131_072 },
};

const optionsOf: Readonly<Record<Kind, Partial<KeyedStateBackendOptions>>> = {
  lsm,
  changelog: { ...lsm, policy: "changelog", changelog: busyChangelog },
  memory: { backend: "memory", memoryBudgetBytes: 96 * MIB },
};

class Place {
  readonly root = temporaryDirectory();
  #opened = 0;

  open(
    kind: Kind,
    restore: RestoreTarget,
    keyGroups: Partial<KeyGroupRange> = {},
  ): Promise<KeyedStateBackend> {
    const name = `job-${++this.#opened}`;
    return openKeyedStateBackend({
      ...optionsOf[kind],
      workingDirectory: join(this.root, name, "work"),
      checkpointStorage: fileSystemStorage(join(this.root, name, "checkpoints")),
      restore,
      keyGroups,
    });
  }

  path(name: string): string {
    return join(this.root, name);
  }

  /** Everything of the jobs so far. */
  removeJobs(): void {
    for (let job = 1; job <= this.#opened; job++) {
      rmSync(this.path(`job-${job}`), { recursive: true, force: true });
    }
  }
}

const trips: [Kind, Kind, SavepointFormat][] = [
  ["memory", "memory", "canonical"],
  ["memory", "lsm", "canonical"],
  ["lsm", "memory", "canonical"],
  ["lsm", "lsm", "canonical"],
  ["memory", "memory", "native"],
  ["lsm", "lsm", "native"],
  ["lsm", "changelog", "canonical"],
  ["changelog", "lsm", "canonical"],
  ["changelog", "memory", "canonical"],
  ["memory", "changelog", "canonical"],
  ["changelog", "lsm", "native"],
  ["lsm", "changelog", "native"],
  ["changelog", "changelog", "native"],
];

describe("a savepoint", () => {
  test.each(sample(trips, 4))(
    "from %s to %s, %s, holds everything up to the call, in a directory that can be moved",
    async (from, to, format) => {
      const place = new Place();
      const job = new SavepointJob(2500);
      const first = await place.open(from, "latest-or-new");
      await job.change([first], 5000);
      await first.checkpoint(); // Rows lie in several levels then.
      await job.change([first], 4000);
      const metadata = { offset: 9000 };
      const running = first.savepoint(place.path("save"), { format, metadata });
      metadata.offset = 0;
      const frozen = job.freeze();
      await job.change([first], 3000); // After the cut: must not show up.
      const done = await running;
      assert.deepEqual([done.checkpointId, done.format], [2, format]);
      assert.equal(done.location, place.path("save"));
      assert.ok(done.totalBytes > 100_000 && done.fileCount >= 2);
      await job.check(first);
      await first.close();
      place.removeJobs();
      renameSync(place.path("save"), place.path("moved"));

      const second = await place.open(to, place.path("moved"));
      assert.equal(second.restored?.checkpointId, 2);
      assert.deepEqual(second.restored.metadata, { offset: 9000 });
      await frozen.check(second);
      await frozen.change([second], 3000);
      await frozen.check(second);
      // No-claim: the job's own checkpoints stand without the savepoint.
      const { checkpointId } = await second.checkpoint();
      assert.equal(checkpointId, 3);
      const later = frozen.freeze();
      await second.close();
      rmSync(place.path("moved"), { recursive: true });
      const third = await openKeyedStateBackend({
        ...optionsOf[to],
        workingDirectory: place.path("job-2/work"),
        checkpointStorage: fileSystemStorage(place.path("job-2/checkpoints")),
        restore: "latest",
      });
      await later.check(third);
      await third.close();
    },
    120_000,
  );

  test.each(["lsm", "memory"] as const)(
    "changes the number of key groups and splits them, into %s",
    async (kind) => {
      const place = new Place();
      const job = new SavepointJob(1200);
      const halves = [
        await place.open(kind, "latest-or-new", { max: 16, first: 0, last: 6 }),
        await place.open(kind === "lsm" ? "memory" : "lsm", "latest-or-new", {
          max: 16,
          first: 7,
          last: 15,
        }),
      ];
      await job.change(halves, 4000);
      const paths = [place.path("left"), place.path("right")];
      for (const [index, backend] of halves.entries()) await backend.savepoint(paths[index]!);
      for (const backend of halves) await backend.close();
      for (const max of [16, 1, 300]) {
        const ranges =
          max === 1
            ? [{ max, first: 0, last: 0 }]
            : [
                { max, first: 0, last: 3 },
                { max, first: 4, last: max - 1 },
              ];
        for (const range of ranges) {
          const backend = await place.open(kind, paths, range);
          await job.check(backend);
          await backend.close();
        }
      }
      const all = { max: 32, first: 0, last: 31 };
      await assert.rejects(place.open(kind, paths[0]!, all), {
        code: "VARVE_INVALID_ARGUMENT",
        message: /7 is in none/,
      });
    },
    120_000,
  );

  test("canonical, and a checkpoint of another task are restored together", async () => {
    for (const kind of ["lsm", "memory"] as const) {
      const place = new Place();
      const job = new SavepointJob(600);
      const left = await place.open(kind, "latest-or-new", { first: 0, last: 60 });
      const right = await place.open(kind, "latest-or-new", { first: 61, last: 127 });
      await job.change([left, right], 3000);
      await left.savepoint(place.path("left"));
      await right.checkpoint();
      await left.close();
      await right.close();
      const both = await place.open(kind, [place.path("left"), place.path("job-2/checkpoints")]);
      await job.check(both);
      await job.change([both], 1000);
      await both.checkpoint();
      await job.check(both);
      await both.close();
    }
  }, 60_000);

  test("of an empty job is empty", async () => {
    const place = new Place();
    for (const kind of sample(["lsm", "memory", "changelog"] as const, 2)) {
      for (const format of ["canonical", "native"] as const) {
        const first = await place.open(kind, "latest-or-new");
        const path = place.path(`${kind}-${format}`);
        const { fileCount } = await first.savepoint(path, { format });
        assert.equal(fileCount, 1);
        await first.close();
        const second = await place.open(kind, path);
        await new SavepointJob(10).check(second);
        await second.close();
      }
    }
  });

  test("follows another, and each holds its own moment", async () => {
    const place = new Place();
    const job = new SavepointJob(500);
    const backend = await place.open("lsm", "latest-or-new");
    const models: SavepointJob[] = [];
    const running: Promise<unknown>[] = [];
    for (let index = 0; index < 6; index++) {
      await job.change([backend], 400);
      const format = index % 2 === 0 ? "canonical" : "native";
      running.push(backend.savepoint(place.path(`save-${index}`), { format }));
      if (index === 3) running.push(backend.checkpoint());
      models.push(job.freeze());
    }
    await Promise.all(running);
    await backend.close();
    for (const [index, model] of models.entries()) {
      const restored = await place.open("lsm", place.path(`save-${index}`));
      await model.check(restored);
      await restored.close();
    }
  }, 120_000);
});
