// B4: `varve verify` as a process, and the floor: the same files hashed by bare threads, in turns.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MIB } from "../../src/index.ts";
import { HashFloor, storedFiles } from "../checkpoint/hash-floor.ts";
import { WideState } from "../checkpoint/wide-state.ts";
import { type Report, progress } from "../support/command.ts";
import { spreadOf } from "../support/statistics.ts";

const memoryBudgetBytes = 256 * MIB;
const askedRatio = 0.8;

export interface VerifyPlan {
  readonly stateBytes: number;
  readonly repetitions: number;
  readonly scratch: string;
}

export async function measureVerify(report: Report, plan: VerifyPlan): Promise<void> {
  const { stateBytes, repetitions, scratch } = plan;
  progress(`verify: loading ${stateBytes / 1e6} MB`);
  const state = await WideState.open(scratch, "working", stateBytes, memoryBudgetBytes);
  try {
    await state.load();
    await state.backend.checkpoint();
  } finally {
    await state.backend.close();
  }
  const checkpoints = join(scratch, "checkpoints");
  const files = await storedFiles(checkpoints);
  const floor = new HashFloor();
  const verifyMs: number[] = [];
  const hashMs: number[] = [];
  try {
    await floor.hash(files.paths);
    const startMs = Math.min(...Array.from({ length: 3 }, () => run(["--help"])));
    for (let i = 0; i < repetitions; i++) {
      progress(`verify: ${i + 1}`);
      hashMs.push(await floor.hash(files.paths));
      verifyMs.push(run(["verify", checkpoints, "--json"]) - startMs);
    }
    const rate = (ms: number): number => files.bytes / 1e6 / (ms / 1000);
    const ratios = spreadOf(verifyMs.map((ms, i) => hashMs[i]! / ms));
    report.measure({
      id: "B4",
      name: "varve verify / SHA-256 in bare threads, bytes a second",
      value: ratios.median,
      asked: `>= ${askedRatio}`,
      ok: ratios.median >= askedRatio,
      unit: "ratio",
      floor: 1,
      ratio: ratios.median,
      spread: ratios,
      details: {
        megabytesPerSecond: rate(spreadOf(verifyMs).median),
        floorMegabytesPerSecond: rate(spreadOf(hashMs).median),
        floorThreads: floor.threads,
        processStartMs: startMs,
        bytes: files.bytes,
        files: files.paths.length,
      },
    });
  } finally {
    await floor.close();
  }
}

/** Milliseconds that the command takes. */
function run(args: readonly string[]): number {
  const main = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`varve ${args.join(" ")} ended with ${status}: ${stderr}`);
  return performance.now() - start;
}
