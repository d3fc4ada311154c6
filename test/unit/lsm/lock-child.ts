// A process that takes the lock of a directory and says what came of it, then waits to be killed.
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { lockDirectory } from "../../../src/lsm/directory-lock.ts";

const [, , path = ""] = process.argv;
try {
  await lockDirectory(nodeEnvironment(), path);
  process.stdout.write("locked\n");
  process.stdin.resume();
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.name : "?"}\n`);
}
