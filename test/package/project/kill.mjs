// A child counts and takes checkpoints until it is killed; the parent restores and compares.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { i64, fileSystemStorage, openKeyedStateBackend } from "varve";

const open = (root, restore) =>
  openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    memoryBudgetBytes: 32 * 1024 * 1024,
    restore,
  });

if (process.argv[2] === "child") {
  const backend = await open(process.argv[3], "latest-or-new");
  const count = backend.valueState({ name: "count", value: i64 });
  for (let offset = 0; ; offset++) {
    backend.withKey(offset % 100, () => count.update((count.value() ?? 0) + 1));
    if (offset % 1000 === 999) {
      await backend.checkpoint({ offset: offset + 1 });
      process.send(offset + 1);
    }
  }
} else {
  const root = mkdtempSync(join(tmpdir(), "varve-kill-"));
  const child = fork(new URL(import.meta.url), ["child", root]);
  let durable = 0;
  child.on("message", (offset) => {
    durable = offset;
    if (offset >= 5000) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.on("exit", resolve));
  const backend = await open(root, "latest");
  const count = backend.valueState({ name: "count", value: i64 });
  const { offset } = backend.restored.metadata;
  assert.ok(offset >= durable && durable >= 5000, `restored ${offset}, reported ${durable}`);
  let sum = 0;
  for (let key = 0; key < 100; key++) sum += backend.withKey(key, () => count.value());
  assert.equal(sum, offset);
  await backend.close();
  rmSync(root, { recursive: true, force: true });
}
