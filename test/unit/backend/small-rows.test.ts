// Goal: rows that are small beside their entries in the index never end a backend of any budget: the
// index took what the rows needed, and kept as much again for a doubling that could not come.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

/** Where the index doubles while the buffer is full: at 314,572 and at 629,145 keys. */
const cases = [
  { budget: 24 * MIB, keys: 350_000 },
  { budget: 48 * MIB, keys: 680_000 },
];

describe("small rows", () => {
  for (const { budget, keys } of cases) {
    for (const waits of [true, false]) {
      const how = waits ? "by a writer that waits for drains" : "by one that does not";
      test(`go into ${budget / MIB} MiB, ${how}`, async () => {
        const root = temporaryDirectory();
        await using backend = await openKeyedStateBackend({
          workingDirectory: join(root, "working"),
          checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
          restore: "latest-or-new",
          memoryBudgetBytes: budget,
        });
        const state = backend.valueState({ name: "number", value: f64 });
        for (let key = 0; key < keys; key++) {
          if (waits && backend.needsDrain) await backend.drained();
          backend.setCurrentKey(key);
          state.update(key);
        }
        for (let key = 0; key < keys; key += 997) {
          backend.setCurrentKey(key);
          assert.equal(state.value(), key);
        }
      }, 60_000);
    }
  }
});
