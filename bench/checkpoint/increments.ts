// A7 and A8: bytes of an incremental checkpoint, and time to restore, on one state.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MIB } from "../../src/index.ts";
import { type Report, progress } from "../support/command.ts";
import { mean, spreadOf } from "../support/statistics.ts";
import { HashFloor, storedFiles } from "./hash-floor.ts";
import { WideState } from "./wide-state.ts";

const memoryBudgetBytes = 256 * MIB;
const askedShare = 0.05;
const askedRestoreMs = 500;
const increments = 20;

export async function measureIncrementsAndRestore(
  report: Report,
  stateBytes: number,
  restores: number,
  scratch: string,
): Promise<void> {
  const directory = join(scratch, "increments");
  await mkdir(directory);
  progress(`increments: loading ${stateBytes / 1e6} MB`);
  const state = await WideState.open(directory, "working", stateBytes, memoryBudgetBytes);
  let checkpointBytes: number;
  try {
    await state.load();
    const fullBytes = await settle(state);
    await measureIncrements(report, state, stateBytes, fullBytes);
    checkpointBytes = await settle(state);
  } finally {
    await state.backend.close();
  }
  await measureRestore(report, { directory, stateBytes, checkpointBytes, restores });
}

/** Takes checkpoints until compaction has nothing left to rewrite. Returns the bytes of a full one. */
async function settle(state: WideState): Promise<number> {
  let quiet = 0;
  for (let attempt = 0; attempt < 100; attempt++) {
    const { uploadedBytes, totalBytes } = await state.backend.checkpoint();
    // The file list itself is uploaded each time.
    quiet = uploadedBytes < MIB ? quiet + 1 : 0;
    if (quiet === 3) return totalBytes;
    progress(`increments: waiting for compaction, ${uploadedBytes} bytes were new`);
    await delay(400);
  }
  throw new Error("compaction does not come to an end");
}

async function measureIncrements(
  report: Report,
  state: WideState,
  stateBytes: number,
  fullBytes: number,
): Promise<void> {
  const shares: number[] = [];
  for (let i = 0; i < increments; i++) {
    progress(`increments: ${i + 1}`);
    await state.change();
    const { uploadedBytes } = await state.backend.checkpoint();
    shares.push(uploadedBytes / fullBytes);
  }
  const first = shares[0]!;
  report.measure({
    id: "A7",
    name: "bytes uploaded after 1 % of the state changed, first on a settled base / a full one",
    value: first,
    asked: `<= ${askedShare}`,
    ok: first <= askedShare,
    unit: "share",
    floor: 0.01,
    ratio: first,
    spread: spreadOf(shares),
    details: { meanOf20: mean(shares), fullBytes, stateBytes },
  });
}

interface RestorePlan {
  readonly directory: string;
  readonly stateBytes: number;
  readonly checkpointBytes: number;
  readonly restores: number;
}

async function measureRestore(report: Report, plan: RestorePlan): Promise<void> {
  const floor = new HashFloor();
  const files = await storedFiles(join(plan.directory, "checkpoints"));
  const hashesMs: number[] = [];
  const restoresMs: number[] = [];
  try {
    await floor.hash(files.paths);
    for (let i = 0; i < plan.restores; i++) {
      progress(`restore: ${i + 1}`);
      restoresMs.push(await restoreOnce(plan, i));
      hashesMs.push(await floor.hash(files.paths));
    }
  } finally {
    await floor.close();
  }
  const beyond = spreadOf(restoresMs.map((ms, i) => ms - hashesMs[i]!));
  const total = spreadOf(restoresMs);
  const hash = spreadOf(hashesMs);
  report.measure({
    id: "A8",
    name: "restore from local storage to the first record, beyond hashing",
    value: beyond.median,
    asked: `<= ${askedRestoreMs}`,
    ok: beyond.median <= askedRestoreMs,
    unit: "ms",
    floor: hash.median,
    ratio: total.median / hash.median,
    spread: beyond,
    details: {
      totalMs: total.median,
      totalMsMin: total.min,
      totalMsMax: total.max,
      hashMs: hash.median,
      hashThreads: floor.threads,
      checkpointBytes: plan.checkpointBytes,
      hashedBytes: files.bytes,
      stateBytes: plan.stateBytes,
    },
  });
}

async function restoreOnce(plan: RestorePlan, i: number): Promise<number> {
  const { directory, stateBytes } = plan;
  const start = performance.now();
  const state = await WideState.open(
    directory,
    `restored-${i}`,
    stateBytes,
    memoryBudgetBytes,
    "latest",
  );
  state.readFirst();
  const ms = performance.now() - start;
  await state.backend.close();
  return ms;
}
