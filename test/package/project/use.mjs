import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSystemStorage, openKeyedStateBackend, utf8 } from "varve";

/** Writes, checkpoints, restores and compares. Returns the statistics. */
export async function use(backend = "lsm") {
  const root = mkdtempSync(join(tmpdir(), "varve-use-"));
  const open = (restore) =>
    openKeyedStateBackend({
      backend,
      workingDirectory: join(root, "work"),
      checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
      memoryBudgetBytes: 32 * 1024 * 1024,
      restore,
    });
  const first = await open("latest-or-new");
  const name = first.valueState({ name: "name", value: utf8 });
  for (let key = 0; key < 20_000; key++) first.withKey(key, () => name.update(`value of ${key}`));
  await first.checkpoint();
  await first.close();
  const second = await open("latest");
  const again = second.valueState({ name: "name", value: utf8 });
  for (let key = 0; key < 20_000; key++) {
    assert.equal(
      second.withKey(key, () => again.value()),
      `value of ${key}`,
    );
  }
  await second.checkpoint();
  const stats = second.stats();
  await second.close();
  rmSync(root, { recursive: true, force: true });
  return stats;
}
