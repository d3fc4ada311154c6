// The memory backend in an environment of the user's own: the suite runs without a disk.
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { defineKeyedStateSuite, memoryEnvironment } from "../../src/testing/index.ts";
import type { KeyedStateSubject } from "../../src/testing/index.ts";

const environment = memoryEnvironment();

const subject: KeyedStateSubject = {
  name: "memory, in an environment in memory",
  supports: { keyGroupRanges: true, restoreById: true, snapshots: true, bulk: true },
  open: ({ job, restore, keyGroups, allowNonRestoredState }) =>
    openKeyedStateBackend({
      backend: "memory",
      workingDirectory: `/${job}/work`,
      checkpointStorage: fileSystemStorage(`/${job}/checkpoints`, {}, environment),
      memoryBudgetBytes: 96 * MIB,
      restore,
      keyGroups,
      allowNonRestoredState,
      environment,
    }),
  savepointPath: (job, name) => `/${job}/savepoints/${name}`,
  discard: (job) => environment.fileSystem.removeTree(`/${job}`),
};

defineKeyedStateSuite({ describe, test }, subject);
