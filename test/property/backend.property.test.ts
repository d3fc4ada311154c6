// Goal: a backend is what plain objects would be, through checkpoints, drains, evictions, prefetches,
// restarts and enumerations, with real threads and files.
// Method: fast-check makes up lists of actions; a fixed seed, printed when it fails.
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { test } from "vitest";
import { MIB, fileSystemStorage } from "../../src/index.ts";
import type { KeyedStateBackendOptions } from "../../src/index.ts";
import { isLong } from "../support/long-tests.ts";
import { quickDirectory } from "../support/subjects.ts";
import { type Action, Run, actionLists } from "./backend-run.ts";

async function runActions(
  actions: readonly Action[],
  options: Partial<KeyedStateBackendOptions>,
  fillRows: number,
): Promise<void> {
  const root = quickDirectory("varve-property-");
  const run = new Run({
    ...options,
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    restore: "latest-or-new",
  });
  try {
    await run.start();
    for (const action of actions) await run.do(action, fillRows);
    run.check();
    await run.do(["checkpoint", 0], fillRows);
    await run.do(["restart", 0], fillRows);
  } finally {
    await run.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

const subjects: readonly (readonly [string, Partial<KeyedStateBackendOptions>, number])[] = [
  [
    "lsm, incremental",
    { memoryBudgetBytes: 16 * MIB, lsm: { writeBufferBytes: 262_144, fileSizeBytes: MIB } },
    300,
  ],
  ["lsm, full", { memoryBudgetBytes: 16 * MIB, policy: "full" }, 200],
  [
    "lsm, changelog",
    {
      policy: "changelog",
      memoryBudgetBytes: 16 * MIB,
      changelog: { segmentBytes: 65_536, materializationLogBytes: 131_072 },
      lsm: { writeBufferBytes: 262_144, fileSizeBytes: MIB },
    },
    300,
  ],
  ["memory", { backend: "memory", memoryBudgetBytes: 64 * MIB }, 40],
];

const seed = Number(process.env["VARVE_SEED"] ?? 20_261_124);
const numRuns = Number(process.env["VARVE_RUNS"] ?? (isLong ? 3 : 1));

for (const [name, options, fillRows] of subjects) {
  test(`${name}: the backend is what plain objects would be`, { timeout: 600_000 }, async () => {
    const property = fc.asyncProperty(actionLists, (actions) =>
      runActions(actions, options, fillRows),
    );
    await fc.assert(property, { seed, numRuns, endOnFailure: true });
  });
}
