// Brings the rivals onto this machine, with the clients of their registries; says what it could not.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { progress } from "../support/command.ts";
import { nativeBench } from "./paths.ts";

/** Undefined: it is there. Else the reason, as in "not run, because …". */
type Absence = string | undefined;
export type RivalSource = "flink" | "npm" | "native" | "eatmydata";

/** Preloaded it makes nothing of syncs, for a comparison with who makes none. */
export const eatMyData: string = `/usr/lib/${multiarch()}/libeatmydata.so`;

export class Installation {
  readonly #absences = new Map<RivalSource, Promise<Absence>>();

  /** Installs on the first call. */
  absence(source: RivalSource): Promise<Absence> {
    const known = this.#absences.get(source);
    if (known !== undefined) return known;
    const absence = installers[source]().catch((error: Error) => error.message);
    this.#absences.set(source, absence);
    return absence;
  }
}

const installers: Readonly<Record<RivalSource, () => Promise<Absence>>> = {
  flink: installFlink,
  npm: installPackages,
  native: compileNative,
  eatmydata: installEatMyData,
};

/** Debian's name of the machine, as its paths have it. */
function multiarch(): string {
  return process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
}

async function installFlink(): Promise<Absence> {
  const directory = join(nativeBench, "flink");
  if (!runs("java", "-version")) return "there is no Java on this machine";
  if (isNewer(join(directory, "target", "flink-rival.jar"), [directory])) return undefined;
  if (!runs("mvn", "-v")) return "there is no Maven on this machine, and Flink is not built yet";
  progress("Flink: mvn package");
  const offline = await run("mvn", ["-q", "-B", "-o", "package"], directory);
  if (offline === undefined) return undefined;
  const online = await run("mvn", ["-q", "-B", "package"], directory);
  return online === undefined ? undefined : `mvn package failed: ${online}`;
}

async function installPackages(): Promise<Absence> {
  const installed = join(nativeBench, "node_modules", ".package-lock.json");
  if (isNewer(installed, [join(nativeBench, "package-lock.json")])) return undefined;
  progress("npm rivals: npm ci");
  const failure = await run("npm", ["ci", "--no-audit", "--no-fund"], nativeBench);
  return failure === undefined ? undefined : `npm ci failed in native-bench: ${failure}`;
}

async function compileNative(): Promise<Absence> {
  const directory = join(nativeBench, "cpp");
  const binary = join(directory, "target", "rival");
  if (isNewer(binary, [directory])) return undefined;
  if (!runs("g++", "--version")) return "there is no g++ on this machine";
  const headers = ["/usr/include/rocksdb/db.h", "/usr/include/leveldb/db.h"];
  const missing = await installDebianPackages(["librocksdb-dev", "libleveldb-dev"], headers);
  if (missing !== undefined) return missing;
  progress("native rivals: g++");
  const failure = await run("make", ["--silent", "-C", directory], directory);
  return failure === undefined ? undefined : `compiling failed: ${failure}`;
}

async function installEatMyData(): Promise<Absence> {
  return installDebianPackages(["eatmydata"], [eatMyData]);
}

/** `files` are what they install. */
async function installDebianPackages(
  packages: readonly string[],
  files: readonly string[],
): Promise<Absence> {
  if (files.every((path) => existsSync(path))) return undefined;
  const list = packages.join(" ");
  if (process.getuid?.() !== 0) return `not all of ${list} is installed, which only root may do`;
  if (!runs("apt-get", "--version")) return `${list} would need apt-get`;
  progress(`apt-get install ${list}`);
  await run("apt-get", ["update", "-qq"], nativeBench);
  const failure = await run("apt-get", ["install", "-y", "-qq", ...packages], nativeBench);
  return failure === undefined ? undefined : `apt-get install ${list} failed: ${failure}`;
}

function runs(file: string, flag: string): boolean {
  return spawnSync(file, [flag], { stdio: "ignore" }).status === 0;
}

/** Undefined if it succeeds, else the last line that it printed. */
function run(
  file: string,
  given: readonly string[],
  directory: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(file, [...given], { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
    const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4000));
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) => {
      if (code === 0) resolve(undefined);
      else resolve(output.trim().split("\n").findLast(isTelling) ?? `exit code ${code}`);
    });
  });
}

/** Maven and npm end with advice. */
function isTelling(line: string): boolean {
  return (
    /error|cannot|could not|E[A-Z]{4}/i.test(line) && !/re-run|help 1|log of this run/i.test(line)
  );
}

/** Whether `made` is there, and nothing of what it is made of is newer; what is built does not count. */
function isNewer(made: string, sources: readonly string[]): boolean {
  if (!existsSync(made)) return false;
  const { mtimeMs } = statSync(made);
  return sources.every((path) => newest(path) <= mtimeMs);
}

function newest(path: string): number {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  const names = readdirSync(path).filter((name) => name !== "target" && !name.startsWith("."));
  return Math.max(0, ...names.map((name) => newest(join(path, name))));
}
