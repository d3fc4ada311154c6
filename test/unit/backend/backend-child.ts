// A process with an open backend: `hold-<backend>` waits to be killed, `idle-<backend>` has nothing to
// do.
import { join } from "node:path";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";

const [, , mode = "", root = ""] = process.argv;
const backend = await openKeyedStateBackend({
  backend: mode.endsWith("-memory") ? "memory" : "lsm",
  workingDirectory: join(root, "work"),
  checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
  restore: "latest-or-new",
  memoryBudgetBytes: 32 * MIB,
});
const state = backend.valueState({ name: "total", value: f64 });
backend.withKey(0, () => state.update(7));
await backend.checkpoint();
process.stdout.write("open\n");
if (mode.startsWith("hold-")) process.stdin.resume();
