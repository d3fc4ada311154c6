import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "varve";

/** A backend of the installed package as a subject of its conformance suite. */
export function subjectOf(backend) {
  // Without a disk behind it where there is such a place: what is asked here does not depend on one.
  const memory = "/dev/shm";
  const root = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "varve-consumer-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  return {
    name: backend,
    supports: { keyGroupRanges: true, restoreById: true, snapshots: true, bulk: false },
    open: ({ job, restore, keyGroups, allowNonRestoredState }) =>
      openKeyedStateBackend({
        backend,
        memoryBudgetBytes: 48 * MIB,
        workingDirectory: join(root, job, "work"),
        checkpointStorage: fileSystemStorage(join(root, job, "checkpoints")),
        restore,
        keyGroups,
        allowNonRestoredState,
      }),
    discard: async (job) => rmSync(join(root, job), { recursive: true, force: true }),
  };
}
