// Goal: a backend is what plain objects would be, through checkpoints, drains, evictions, prefetches,
// restarts and enumerations, with real threads and files.
// Method: fast-check makes up lists of actions; a fixed seed, printed when it fails.
import * as fc from "fast-check";
import { test } from "vitest";
import { MIB } from "../../src/index.ts";
import type { KeyedStateBackendOptions } from "../../src/index.ts";
import { isLong } from "../support/long-tests.ts";
import { actionLists, runHistory } from "./backend-run.ts";

const subjects: readonly (readonly [string, Partial<KeyedStateBackendOptions>, number])[] = [
  ["lsm, incremental", { lsm: { writeBufferBytes: 262_144, fileSizeBytes: MIB } }, 300],
  ["lsm, full", { policy: "full" }, 200],
  [
    "lsm, changelog",
    {
      policy: "changelog",
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
      runHistory(actions, options, fillRows),
    );
    await fc.assert(property, { seed, numRuns, endOnFailure: true });
  });
}
