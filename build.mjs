// Compiles src, test, bench and examples into dist/. dist/ is removed first: without that, the
// compiled form of a deleted test would go on running. With --quiet only errors are printed.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL(".", import.meta.url)));
if (!process.argv.includes("--quiet")) process.stdout.write("compiling into dist/\n");
rmSync("dist", { recursive: true, force: true });
const compiler = fileURLToPath(new URL("node_modules/typescript/lib/tsc.js", import.meta.url));
if (!existsSync(compiler)) {
  process.stderr.write("typescript is not installed: run npm ci first\n");
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.json"], {
  stdio: "inherit",
});
if (existsSync("dist/src/cli/main.js")) chmodSync("dist/src/cli/main.js", 0o755);
process.exit(status ?? 1);
