// What a report says about where it was measured.
import { execFileSync } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { scratchParent } from "../support/command.ts";
import type { Machine } from "./page.ts";
import { type BenchResult, linesOf } from "./results.ts";

/** Magic numbers of statfs(2). */
const fileSystems: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
  0x794c7630: "overlayfs",
};

export function machineOf(results: readonly BenchResult[]): Machine {
  const { type } = statfsSync(scratchParent());
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown processor",
    cores: cpus().length,
    memoryBytes: totalmem(),
    fileSystem: fileSystems[type] ?? `file system 0x${type.toString(16)}`,
    node: process.versions.node,
    kernel: `Linux ${release().split("-")[0]}`,
    versions: versionsOf(results),
  };
}

function versionsOf(results: readonly BenchResult[]): string[] {
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
    const changed = git("status", "--porcelain", "--untracked-files=no") === "" ? "" : " + changes";
    return `${git("rev-parse", "--short", "HEAD")}${changed}`;
  } catch {
    return "unknown";
  }
}
