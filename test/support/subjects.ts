// This package's backends as subjects of its own conformance suite.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, fileSystemStorage, openKeyedStateBackend, openStateHost } from "../../src/index.ts";
import type { KeyedStateBackendOptions, StateHost } from "../../src/index.ts";
import type { KeyedStateSubject } from "../../src/testing/index.ts";

/** A file system without a disk behind it: what these tests ask does not depend on one. */
export function quickDirectory(prefix: string): string {
  const memory = "/dev/shm";
  const path = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), prefix));
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
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
    async open({ job, restore, keyGroups }) {
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
      });
    },
    discard: async (job) => rmSync(join(root, job), { recursive: true, force: true }),
  };
}
