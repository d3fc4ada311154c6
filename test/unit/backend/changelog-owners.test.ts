// Goal: an owner of a storage never appends to a segment that it, or another owner, takes for a leftover,
// though a host outlives the backends that share its append thread.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "vitest";
import {
  type KeyedStateBackend,
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
  utf8,
} from "../../../src/index.ts";
import { listCheckpoints, openCheckpoint, verifyCheckpoint } from "../../../src/inspect/index.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const segmentBytes = 65_536;

test("owners one after the other in one host leave whole checkpoints", async () => {
  const folder = temporaryDirectory();
  const directory = join(folder, "checkpoints");
  const host = await openStateHost({ memoryBudgetBytes: 64 * MIB });
  const open = (): Promise<KeyedStateBackend> =>
    openKeyedStateBackend({
      host,
      policy: "changelog",
      changelog: { segmentBytes },
      checkpointStorage: fileSystemStorage(directory),
      workingDirectory: join(folder, "work"),
      restore: "latest-or-new",
      keyGroups: { max: 16 },
    });
  let written = 0;
  /** Changes that take about so many bytes in the log. */
  const change = (backend: KeyedStateBackend, bytes: number): void => {
    const value = backend.valueState({ name: "value", value: utf8 });
    for (let rest = bytes; rest > 0; rest -= 64) {
      const text = Array.from({ length: 8 }, () => Math.sin(written++).toString(36).slice(-8));
      backend.withKey(written, () => value.update(text.join("")));
    }
  };
  // Without a checkpoint; with little in the segment; and when the next one is there already.
  for (const sizes of [[], [1000], [1000, 50_000], [200], [60_000, 60_000, 1000]]) {
    const backend = await open();
    for (const bytes of sizes) {
      change(backend, bytes);
      await backend.checkpoint();
    }
    await backend.close();
    const { checkpoints, damaged, users } = await listCheckpoints(directory);
    assert.deepEqual(damaged, []);
    for (const { checkpointId } of checkpoints) {
      const view = await openCheckpoint(directory, { checkpointId });
      assert.deepEqual((await verifyCheckpoint(view, { threads: 1 })).damaged, []);
      await view.close();
    }
    if (sizes.length === 0) continue;
    assert.deepEqual((await readdir(join(directory, "files"))).sort(), [...users.keys()].sort());
  }
  await host.close();
});
