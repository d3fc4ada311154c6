// This package's backends as subjects of its own conformance suite.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, fileSystemStorage, openKeyedStateBackend, openStateHost } from "../../src/index.ts";
import type { KeyedStateBackendOptions, StateHost } from "../../src/index.ts";
import type { KeyedStateSubject } from "../../src/testing/index.ts";

/**
 * A folder without a disk behind it: what these tests ask does not depend on one. The caller
 * removes it.
 */
export function quickDirectory(prefix: string): string {
  const memory = "/dev/shm";
  return mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), prefix));
}

/** A subject whose jobs live in one temporary folder, with one host for all of its backends. */
export function subjectOf(
  name: string,
  options: Partial<KeyedStateBackendOptions>,
  budgetBytes: number = 96 * MIB,
): KeyedStateSubject {
  const root = quickDirectory("varve-conformance-");
  let host: Promise<StateHost> | undefined;
  return {
    name,
    supports: { keyGroupRanges: true, restoreById: true, snapshots: true, bulk: true },
    async open({ job, restore, keyGroups, allowNonRestoredState }) {
      mkdirSync(root, { recursive: true });
      host ??= openStateHost({ memoryBudgetBytes: budgetBytes });
      // A job beside another one has a budget of its own: the smallest is too small for two.
      const isBeside = job.endsWith("sibling");
      const own = isBeside ? { memoryBudgetBytes: budgetBytes } : { host: await host };
      return openKeyedStateBackend({
        ...options,
        ...own,
        workingDirectory: join(root, job, "work"),
        checkpointStorage: fileSystemStorage(join(root, job, "checkpoints")),
        restore,
        keyGroups,
        allowNonRestoredState,
      });
    },
    savepointPath: (job, name) => join(root, job, "savepoints", name),
    async discard(job) {
      rmSync(join(root, job), { recursive: true, force: true });
      if (readdirSync(root).length === 0) rmdirSync(root); // The next job makes it again.
    },
  };
}
