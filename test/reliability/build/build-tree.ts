// Another build of src/ beside dist/src, for tests only: with fail points, or with a planted bug. Its own
// copy of the compiled tests runs on it, since imports are relative.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import typescript from "typescript";

/** The source with its changes; undefined: as it is. */
export type Transform = (path: string, source: string) => string | undefined;

/** The compiler's own options, so that nothing but the changes differs. */
const { config } = typescript.readConfigFile("tsconfig.json", (path) => readFileSync(path, "utf8"));
const { options } = typescript.convertCompilerOptionsFromJson(
  (config as { compilerOptions: object }).compilerOptions,
  process.cwd(),
);

// One file at a time the compiler does not look into package.json for the kind of module.
const { ESNext } = typescript.ModuleKind;
const { Bundler } = typescript.ModuleResolutionKind;
const compilerOptions = { ...options, module: ESNext, moduleResolution: Bundler };

/** Of this process, which removes them as it ends. */
const made = new Set<string>();

/**
 * Makes `dist/<name>-<process>`, and returns its path: two runs at a time must not take each other's code away.
 * Files that are not changed are links of dist's.
 */
export function buildTree(name: string, transform: Transform): string {
  const target = resolve("dist", `${name}-${process.pid}`);
  if (made.size === 0) process.once("exit", removeMade);
  made.add(target);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const part of ["src", "test", "bench", "examples"])
    linkTree(join("dist", part), join(target, part));
  for (const entry of readdirSync("src", { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".ts")) continue;
    const path = `src/${entry.replaceAll("\\", "/")}`;
    const changed = transform(path, readFileSync(path, "utf8"));
    if (changed !== undefined) writeCompiled(target, path, changed);
  }
  return target;
}

function removeMade(): void {
  for (const target of made) rmSync(target, { recursive: true, force: true });
}

function linkTree(from: string, to: string): void {
  // `cp -al` is a hundred times as fast as copying; elsewhere a copy does as well.
  if (spawnSync("cp", ["-al", from, to]).status === 0) return;
  cpSync(from, to, { recursive: true });
}

export function writeCompiled(target: string, path: string, source: string): void {
  const { outputText } = typescript.transpileModule(source, { fileName: path, compilerOptions });
  const compiled = join(target, path.replace(/\.ts$/, ".js"));
  rmSync(compiled, { force: true }); // It is a link: dist's own must not change.
  writeFileSync(compiled, outputText.replace(/^\/\/# sourceMappingURL=.*$/m, ""));
}
