// What a report says about where it was measured.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync, statfsSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { scratchParent } from "../support/command.ts";
import { type BenchResult, linesOf } from "./results.ts";

/** Magic numbers of statfs(2). */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
  0x794c7630: "overlayfs",
};

/** Of the scratch files: a mapped file that is not in the page cache is read in so large pieces. */
function readAheadOf(path: string): string {
  const { dev } = statSync(path);
  const device = `/sys/dev/block/${Math.floor(dev / 256)}:${dev % 256}`;
  for (const queue of [join(device, "queue"), join(device, "..", "queue")]) {
    const file = join(queue, "read_ahead_kb");
    if (existsSync(file)) return `, read-ahead ${readFileSync(file, "utf8").trim()} KiB`;
  }
  return "";
}

/** The machine that this process runs on, in one line. */
export function machineText(): string {
  const parent = scratchParent();
  const { type } = statfsSync(parent);
  const fileSystem = fileSystems[type] ?? `file system 0x${type.toString(16)}`;
  const cpu = cpus()[0]?.model.trim() ?? "unknown processor";
  const gigabytes = Math.round(totalmem() / 1_073_741_824);
  const kernel = `Linux ${release().split("-")[0]}`;
  return `${cpu}, ${cpus().length} cores, ${gigabytes} GiB of memory, ${fileSystem}${readAheadOf(parent)}, ${kernel}, Node ${process.versions.node}`;
}

/** Of what was measured, where results tell. */
export function versionsOf(results: readonly BenchResult[]): string[] {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    dependencies: Record<string, string>;
  };
  const rivals = linesOf(results, "rivals").flatMap(({ versions }) =>
    Array.isArray(versions) ? (versions as string[]) : [],
  );
  return [`classic-level ${dependencies["classic-level"]}`, ...new Set(rivals)];
}

export function commitOf(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    // The page that a report writes is no change of what is measured.
    const what = ["src", "bench", "native-bench", "package.json", ":!bench/results"];
    const status = git("status", "--porcelain", "--untracked-files=no", "--", ...what);
    const changed = status === "" ? "" : " + changes";
    return `${git("rev-parse", "--short", "HEAD")}${changed}`;
  } catch {
    return "unknown";
  }
}
