// This package's backends as subjects of its own conformance suite.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type { KeyedStateBackendOptions } from "../../src/index.ts";
import type { KeyedStateSubject } from "../../src/testing/index.ts";

/** A subject whose jobs live in one temporary folder; `discard` of the last job leaves it empty. */
export function subjectOf(
  name: string,
  options: Partial<KeyedStateBackendOptions>,
  bulk = true,
): KeyedStateSubject {
  const root = mkdtempSync(join(tmpdir(), "varve-conformance-"));
  process.once("exit", () => rmSync(root, { recursive: true, force: true }));
  return {
    name,
    supports: { keyGroupRanges: true, restoreById: true, snapshots: true, bulk },
    open({ job, restore, keyGroups }) {
      const own = options.host === undefined ? { memoryBudgetBytes: 64 * MIB } : {};
      return openKeyedStateBackend({
        ...own,
        ...options,
        workingDirectory: join(root, job, "work"),
        checkpointStorage: fileSystemStorage(join(root, job, "checkpoints")),
        restore,
        keyGroups,
      });
    },
    discard: async (job) => rmSync(join(root, job), { recursive: true, force: true }),
  };
}
