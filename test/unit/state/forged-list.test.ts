// Goal: what a forged list claims costs no more than what is there: its writer is refused, in no time.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";
import type { ListState } from "../../../src/index.ts";
import { layOut, readCase } from "../../hostile/case-files.ts";
import { declareStates } from "../../hostile/make-bases.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const writers: Readonly<Record<string, (list: ListState<string>) => void>> = {
  clear: (list) => list.clear(),
  update: (list) => list.update(["a"]),
  "update to many": (list) => list.update(Array.from({ length: 2000 }, () => "abcdef")),
  "add, then clear": (list) => {
    list.add("b");
    list.clear();
  },
};

for (const [name, write] of Object.entries(writers)) {
  test(`a list of 2^32-1 chunks that are nowhere is refused by ${name}`, async () => {
    const root = temporaryDirectory();
    const place = layOut(readCase("lsm-row-list-chunks-4-billion"), root);
    assert.ok(place !== undefined);
    await using backend = await openKeyedStateBackend({
      workingDirectory: join(root, "working"),
      checkpointStorage: fileSystemStorage(place.storage),
      restore: "latest",
      memoryBudgetBytes: 48 * MIB,
    });
    const { tags } = declareStates(backend);
    backend.setCurrentKey("a");
    assert.throws(() => write(tags), { code: "VARVE_CORRUPTION" });
  }, 20_000);
}
