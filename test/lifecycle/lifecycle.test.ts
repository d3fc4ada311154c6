// Goal: the promises of docs/coordinator.md and docs/guarantees.md about the life of checkpoints.
// Method: `npm run check:lifecycle`, in short. Every kind of violation that can be planted is planted,
// so that a check that cannot fail would be noticed.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CheckpointReader } from "../../src/checkpoint/checkpoint-reader.ts";
import { fileName, metadataName } from "../../src/checkpoint/layout.ts";
import { pinNumber } from "../../src/checkpoint/pins.ts";
import { objectsOf } from "../support/checkpoints.ts";
import { isLong } from "../support/long-tests.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { alphabet, enumerateLives } from "./enumeration.ts";
import { runLife } from "./life-run.ts";
import type { Life } from "./life-run.ts";
import { type ViolationKind, violationKinds } from "./violations.ts";

describe("the life of a job", () => {
  test("keeps every promise, through power losses, in memory", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const life = await runLife({ seed, operations: 80, backend: "memory", directory: "" });
      assert.deepEqual([...life.violations], [], `seed ${seed}: ${life.history.join(" ")}`);
      assert.ok(life.checkpoints > 0 && life.kills > 0);
    }
  });

  test("keeps every promise over a toy in LevelDB's place and an object store that throttles", async () => {
    for (let seed = 1; seed <= (isLong ? 6 : 4); seed++) {
      const over = { backend: "lsm", policy: "any", directory: "" } as const;
      const life = await runLife({ seed, operations: 80, ...over });
      assert.deepEqual([...life.violations], [], `seed ${seed}: ${life.history.join(" ")}`);
      assert.ok(life.checkpoints > 0 && life.kills > 0);
      if (seed > (isLong ? 2 : 1)) continue;
      const again = await runLife({ seed, operations: 80, ...over });
      assert.deepEqual(again.history, life.history, "a life depends on its seed alone");
      assert.equal(again.checkpoints, life.checkpoints);
    }
  });

  test.each(isLong ? (["full", "incremental", "changelog", "any"] as const) : (["any"] as const))(
    "keeps every promise on the lsm backend, policy %s",
    async (policy) => {
      const directory = temporaryDirectory();
      const life = await runLife({ seed: 1, operations: 25, backend: "lsm", policy, directory });
      assert.deepEqual([...life.violations], [], life.history.join(" "));
      assert.ok(life.checkpoints > 0 && life.restores > 1);
    },
  );

  const sabotages: Readonly<Partial<Record<ViolationKind, (life: Life) => Promise<void>>>> = {
    missingFiles: async (life) => {
      await aCheckpoint(life);
      const newest = await new CheckpointReader(life.storage).loadNewest();
      const lists = newest.handles.map(({ base }) => fileName(base.fileList.id));
      const files = (await objectsOf(life.storage)).filter((name) => name.startsWith("files/"));
      // Behind everybody's back: whoever did it through the job's environment would be noticed at once.
      const { fileSystem } = life.memory!;
      for (const name of files.filter((file) => !lists.includes(file))) {
        await fileSystem.unlink(`/store/${name}`);
      }
    },
    unreadable: async (life) => {
      await aCheckpoint(life);
      const { completionNumber } = await new CheckpointReader(life.storage).loadNewest();
      life.memory!.fileSystem.damage(`/store/${metadataName(completionNumber)}`, (bytes) => {
        return bytes.map((byte) => byte ^ 1);
      });
    },
    leaks: async (life) => {
      life.faults.ignoresDeletions = true;
      for (let count = 0; count < 4; count++) await aCheckpoint(life);
    },
    lost: async (life) => {
      await aCheckpoint(life);
      const { completionNumber } = await new CheckpointReader(life.storage).loadNewest();
      await life.job.close();
      life.clearFaults();
      await life.storage.delete([metadataName(completionNumber), "latest"]);
      await life.open(1);
    },
    wrongState: async (life) => {
      await aCheckpoint(life);
      for (const name of life.models.keys()) life.models.set(name, new Map([["planted", "value"]]));
      await life.kill(1);
    },
    pinnedDeleted: async (life) => {
      await aCheckpoint(life);
      const reader = new CheckpointReader(life.storage);
      const { completionNumber, checkpointId } = await reader.loadNewest();
      await pinNumber(life.storage, completionNumber);
      life.pinned.set(completionNumber, checkpointId);
      await aCheckpoint(life);
      await life.storage.delete([metadataName(completionNumber)]);
    },
  };

  test.each(
    Object.entries(sabotages).flatMap(([kind, sabotage]) =>
      (["memory", "lsm"] as const).map((backend) => [kind, backend, sabotage] as const),
    ),
  )("notices %s, backend %s in memory", async (kind, backend, sabotage) => {
    const seed = backend === "lsm" ? 5 : 3; // What happens after the sabotage must not hide it.
    const life = await runLife({ seed, operations: 6, backend, directory: "", sabotage });
    const found = life.violations.get(kind as ViolationKind) ?? [];
    assert.ok(found.length > 0, JSON.stringify([...life.violations]));
  });

  test("of every short history", () => {
    assert.equal(Object.keys(alphabet).length, 18);
    const { sequences, violations } = enumerateLives(3);
    assert.deepEqual(violations, []);
    assert.ok(sequences > 400, `only ${sequences}`);
    assert.equal(violationKinds.length, 9);
  });
});

async function aCheckpoint(life: Life): Promise<void> {
  life.clearFaults();
  life.write();
  await life.trigger(true);
}
