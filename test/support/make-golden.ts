// Writes the golden checkpoints of a release into test/fixtures/checkpoints/<release>/. Run once for a
// release, by hand: node dist/test/support/make-golden.js 0.1. Existing ones are never written again.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { writeGolden01 } from "./golden-job.ts";

const [release = ""] = process.argv.slice(2);
for (const backend of ["lsm", "memory"] as const) {
  const target = join("test/fixtures/checkpoints", release, backend);
  if (release === "" || existsSync(target))
    throw new Error(`${target} exists, or no release was given`);
  const work = mkdtempSync(join(tmpdir(), "varve-golden-"));
  const opened = await openKeyedStateBackend({
    backend,
    workingDirectory: work,
    checkpointStorage: fileSystemStorage(target, { transfer: "copy" }),
    memoryBudgetBytes: 32 * MIB,
    restore: "latest-or-new",
  });
  writeGolden01(opened);
  await opened.checkpoint({ release });
  await opened.close();
  rmSync(work, { recursive: true });
}
