// Goal: every release reads the checkpoints of every earlier release (G10).
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { checkGolden01 } from "../support/golden-job.ts";

const fixtures = "test/fixtures/checkpoints";

describe("golden checkpoints", async () => {
  for (const release of await readdir(fixtures)) {
    for (const backend of ["lsm", "memory"] as const) {
      test(`of release ${release}, ${backend}: every row is read as it was written`, async () => {
        const root = await mkdtemp(join(tmpdir(), "varve-golden-"));
        try {
          await cp(join(fixtures, release, backend), join(root, "checkpoints"), {
            recursive: true,
          });
          const opened = await openKeyedStateBackend({
            backend,
            workingDirectory: join(root, "work"),
            checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
            memoryBudgetBytes: 32 * MIB,
            restore: "latest",
          });
          assert.equal(opened.restored?.checkpointId, 1);
          assert.deepEqual(opened.restored.metadata, { release });
          checkGolden01(opened);
          await opened.checkpoint();
          await opened.close();
        } finally {
          await rm(root, { recursive: true, force: true });
        }
      });
    }
  }
});
