import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { buildTree } from "../build/build-tree.ts";
import { withFailPoints } from "../build/fail-points.ts";
import { type Mutant, patched } from "./patch.ts";

export interface MutantOutcome {
  readonly isCaught: boolean;
  /** The first line that says so. */
  readonly how: string;
}

/** Plants the bug, runs the part that is to notice it, and takes the bug away. */
export async function runMutant(mutant: Mutant): Promise<MutantOutcome> {
  const { name, part, seed, seeds } = mutant;
  const tree = `mutants/${name}`;
  const target = buildTree(tree, (path, source) => {
    if (path !== mutant.file) return withFailPoints(path, source);
    const text = patched(mutant, source);
    return withFailPoints(path, text) ?? text;
  });
  try {
    const entry = join(target, "test/reliability/reliability.js");
    const args = [
      entry,
      part,
      "--json",
      "--fail-fast",
      "--seed",
      String(seed),
      "--seeds",
      String(seeds),
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
    child.stderr.on("data", (bytes: Buffer) => (errors += bytes.toString()));
    const [status] = (await once(child, "close")) as [number | null];
    const isCaught = status === 1 && output.includes('"ok":false');
    const line = errors.split("\n").find((text) => text.startsWith("FAILED ")) ?? output;
    if (status !== 0 && !isCaught) throw new Error(`mutant ${name}: ${errors.slice(0, 2000)}`);
    return { isCaught, how: line.slice(0, 300) };
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}
