// Compiles src, test, bench and examples into dist/. dist/ is removed first: without that, the
// compiled form of a deleted test would go on running.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
const compiler = fileURLToPath(import.meta.resolve("typescript/lib/tsc.js"));
const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.json"], {
  stdio: "inherit",
});
if (existsSync("dist/src/cli/main.js")) chmodSync("dist/src/cli/main.js", 0o755);
process.exit(status ?? 1);
