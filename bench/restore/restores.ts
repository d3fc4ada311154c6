// B2 and B5: restores and branches of checkpoints of several sizes.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  MIB,
  type RestoreVerification,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { WideState, wideValueBytes } from "../checkpoint/wide-state.ts";
import { type Report, progress } from "../support/command.ts";
import { type Spread, spreadOf } from "../support/statistics.ts";

const memoryBudgetBytes = 256 * MIB;
const askedMs = 200;
const askedRatio = 2;

interface Opened {
  readonly ms: number;
  readonly copiedFiles: number;
  readonly linkedFiles: number;
  /** Until every byte was verified, from opening. */
  readonly verifiedMs: number;
}

export async function measureRestores(
  report: Report,
  sizes: readonly number[],
  repetitions: number,
  scratch: string,
): Promise<void> {
  const behind: Spread[] = [];
  for (const [index, stateBytes] of sizes.entries()) {
    const directory = join(scratch, `state-${stateBytes}`);
    await mkdir(directory);
    const state = await load(directory, stateBytes);
    const isLargest = index === sizes.length - 1;
    // The job goes on beside its branches.
    if (isLargest) await measureBranches(report, directory, state, stateBytes, repetitions);
    await state.backend.close();
    behind.push(await measureSize(report, directory, stateBytes, repetitions));
    await rm(directory, { recursive: true });
  }
  const smallest = behind[0]!;
  const largest = behind.at(-1)!;
  const worst = Math.max(...behind.map(({ median }) => median));
  const ratio = largest.median / smallest.median;
  report.measure({
    id: "B2",
    name: "restore to the first record, verified behind it; median of the slowest size",
    value: worst,
    asked: `<= ${askedMs}, largest / smallest <= ${askedRatio}`,
    ok: worst <= askedMs && ratio <= askedRatio,
    unit: "ms",
    ratio,
    spread: largest,
    details: { smallestStateBytes: sizes[0]!, largestStateBytes: sizes.at(-1)! },
  });
}

async function load(directory: string, stateBytes: number): Promise<WideState> {
  progress(`restore: loading ${stateBytes / 1e6} MB`);
  const state = await WideState.open(directory, "working", stateBytes, memoryBudgetBytes);
  await state.load();
  for (let quiet = 0; quiet < 2;) {
    const { uploadedBytes } = await state.backend.checkpoint();
    quiet = uploadedBytes < MIB ? quiet + 1 : 0;
    await delay(300);
  }
  return state;
}

async function measureSize(
  report: Report,
  directory: string,
  stateBytes: number,
  repetitions: number,
): Promise<Spread> {
  const times: Record<RestoreVerification, Opened[]> = { before: [], behind: [] };
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const verification of ["behind", "before"] as const) {
      progress(`restore: ${stateBytes / 1e6} MB, ${verification}, ${repetition + 1}`);
      times[verification].push(await openOnce(directory, "restore", stateBytes, verification));
    }
  }
  const spread = spreadOf(times.behind.map(({ ms }) => ms));
  for (const verification of ["before", "behind"] as const) {
    const { median, min, max } = spreadOf(times[verification].map(({ ms }) => ms));
    const verified = spreadOf(times[verification].map(({ verifiedMs }) => verifiedMs));
    report.line({
      bench: "restore",
      verification,
      stateBytes,
      firstRecordMs: median,
      min,
      max,
      verifiedMs: verified.median,
    });
  }
  return spread;
}

async function measureBranches(
  report: Report,
  directory: string,
  state: WideState,
  stateBytes: number,
  repetitions: number,
): Promise<void> {
  const behind: Opened[] = [];
  const before: Opened[] = [];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    progress(`branch: ${repetition + 1}`);
    behind.push(await openOnce(directory, "branch", stateBytes, "behind"));
    before.push(await openOnce(directory, "branch", stateBytes, "before"));
    state.readFirst(); // The original is there as before.
  }
  const spread = spreadOf(behind.map(({ ms }) => ms));
  const copied = behind.reduce((sum, { copiedFiles }) => sum + copiedFiles, 0);
  report.measure({
    id: "B5",
    name: "branch of a checkpoint to its first record, verified behind it",
    value: spread.median,
    asked: `<= ${askedMs}, 0 files copied`,
    ok: spread.median <= askedMs && copied === 0,
    unit: "ms",
    spread,
    details: {
      stateBytes,
      copiedFiles: copied,
      beforeMs: spreadOf(before.map(({ ms }) => ms)).median,
    },
  });
}

/** Opens the newest checkpoint with directories of its own, and reads a row. */
async function openOnce(
  directory: string,
  name: string,
  stateBytes: number,
  restoreVerification: RestoreVerification,
): Promise<Opened> {
  const storage = fileSystemStorage(join(directory, `${name}-checkpoints`));
  const start = performance.now();
  const backend = await openKeyedStateBackend({
    workingDirectory: join(directory, name),
    checkpointStorage: storage,
    restore: join(directory, "checkpoints"),
    memoryBudgetBytes,
    restoreVerification,
  });
  const state: ValueState<Uint8Array> = backend.valueState({ name: "wide", value: bytes });
  backend.setCurrentKey(Math.floor(stateBytes / wideValueBytes) >>> 1);
  if (state.value()?.length !== wideValueBytes) throw new Error("a row is lost");
  const ms = performance.now() - start;
  while (backend.stats().unverifiedFiles > 0) await delay(5);
  const verifiedMs = performance.now() - start;
  const { copiedFiles, linkedFiles } = backend.stats();
  await backend.close();
  return { ms, copiedFiles, linkedFiles, verifiedMs };
}
