import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";

describe("checkpoint metadata", () => {
  test("is that of the call, whatever the caller does to the object afterwards", async () => {
    const root = await mkdtemp(join(tmpdir(), "varve-metadata-"));
    const open = (restore: string) =>
      openKeyedStateBackend({
        backend: "memory",
        workingDirectory: join(root, "work"),
        checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
        memoryBudgetBytes: 32 * MIB,
        restore,
      });
    try {
      const first = await open("latest-or-new");
      const metadata = { offsets: { "0": 17 } };
      const checkpoint = first.checkpoint(metadata);
      metadata.offsets["0"] = 99;
      await checkpoint;
      await first.close();
      const second = await open("latest");
      assert.deepEqual(second.restored?.metadata, { offsets: { "0": 17 } });
      await second.close();
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
});
