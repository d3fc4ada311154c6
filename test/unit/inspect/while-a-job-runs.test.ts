import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { f64 } from "../../../src/index.ts";
import {
  copyCheckpoint,
  listCheckpoints,
  openCheckpoint,
  verifyCheckpoint,
} from "../../../src/inspect/index.ts";
import { openJob, write } from "../../support/inspected-job.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const gone = { code: "VARVE_CHECKPOINT_NOT_FOUND", message: /was deleted/ };

describe("while a job goes on", () => {
  for (const backend of ["lsm", "memory"] as const) {
    test(`what is deleted meanwhile is said to be, ${backend}`, async () => {
      const folder = temporaryDirectory();
      const job = await openJob(folder, { backend, policy: "full", retainedCheckpoints: 1 });
      write(job, 0);
      await job.checkpoint();
      const directory = join(folder, "checkpoints");
      const [begun, listed, count, verify, copy, list] = await Promise.all(
        Array.from({ length: 6 }, () => openCheckpoint(directory)),
      );
      const scan = begun!.scan("list");
      await scan.next();
      await listed!.files();
      write(job, 1);
      await job.checkpoint();
      write(job, 2);
      await job.checkpoint();
      await job.close();
      try {
        for await (const { value } of scan) assert.match((value as string[])[0]!, /^element 0 0$/);
      } catch (error) {
        assert.equal((error as { code?: string }).code, gone.code); // What was read is right.
      }
      await assert.rejects(listed!.scan("row").next(), gone);
      await assert.rejects(verifyCheckpoint(listed!), gone);
      await assert.rejects(count!.statistics().next(), gone);
      await assert.rejects(verifyCheckpoint(verify!), gone);
      await assert.rejects(list!.files(), gone);
      for (const view of [listed!, copy!]) {
        await assert.rejects(copyCheckpoint(view, join(folder, "copy")), gone);
      }
      const left = (await readdir(folder)).filter((name) => name.startsWith("copy"));
      assert.deepEqual(left, []);
    });
  }

  for (const policy of ["incremental", "changelog"] as const)
    test(`readers see whole checkpoints, and the storage is as it would be without them, ${policy}`, async () => {
      const folder = temporaryDirectory();
      const directory = join(folder, "checkpoints");
      const job = await openJob(folder, { policy, retainedCheckpoints: 3 });
      const value = job.valueState({ name: "value", value: f64 });
      const round = async (version: number): Promise<void> => {
        for (let key = 0; key < 2000; key++) job.withKey(key, () => value.update(version));
        await job.checkpoint({ version });
      };
      await round(0);
      let isRunning = true;
      const reading = (async () => {
        let [reads, lost] = [0, 0];
        while (isRunning) {
          try {
            const view = await openCheckpoint(directory);
            const version = (view.metadata.userMetadata as { version: number }).version;
            const seen = new Set<unknown>();
            let count = 0;
            for await (const entry of view.scan("value")) {
              seen.add(entry.value);
              count++;
            }
            assert.deepEqual([...seen], [version]);
            assert.equal(count, 2000);
            assert.ok((await verifyCheckpoint(view, { threads: 1 })).isIntact);
            assert.ok((await listCheckpoints(directory)).damaged.length === 0);
            reads++;
          } catch (error) {
            assert.equal((error as { code?: string }).code, gone.code, String(error));
            lost++;
          }
        }
        return { reads, lost };
      })();
      for (let version = 1; version <= 25; version++) await round(version);
      isRunning = false;
      const { reads } = await reading;
      assert.ok(reads > 0);
      await job.close();
      const { checkpoints, users } = await listCheckpoints(directory);
      assert.equal(checkpoints.length, 3);
      const files = await readdir(join(directory, "files"));
      assert.deepEqual(files.sort(), [...users.keys()].sort());
    });
});
