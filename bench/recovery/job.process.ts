// Child process: a job that is killed, and started again. Says what it does by lines of its IPC channel.
import type { CheckpointPolicy } from "../../src/index.ts";
import { MIB } from "../../src/index.ts";
import { RowState, type Rows, neverMaterialize } from "../changelog/subject.ts";
import { serve } from "../support/child.ts";

export interface JobAssignment {
  readonly directory: string;
  /** Where the job starts the first time. */
  readonly base?: string | undefined;
  readonly rows: Rows;
  readonly policy: CheckpointPolicy;
  readonly verification: "before" | "behind";
}

export interface Recovered {
  /** From the start of the process until the backend was asked for. */
  readonly startMs: number;
  readonly openMs: number;
  readonly firstRecordMs: number;
  /** Until every byte was verified: nothing completes before. */
  readonly verifiedMs: number;
  /** Until a checkpoint was completed. */
  readonly checkpointMs: number;
  readonly logBytes: number;
  readonly totalBytes: number;
  readonly version: number;
}

let state: RowState | undefined;
let version = 0;

function opened(): RowState {
  if (state === undefined) throw new Error("nothing was opened yet");
  return state;
}

async function open(assignment: JobAssignment): Promise<void> {
  const { directory, base, rows, policy, verification } = assignment;
  state = await RowState.open(directory, base ?? "latest", rows, {
    policy,
    memoryBudgetBytes: 256 * MIB,
    restoreVerification: verification,
    changelog: neverMaterialize,
  });
}

async function recover(assignment: JobAssignment): Promise<Recovered> {
  const startMs = performance.now();
  await open(assignment);
  const opening = performance.now();
  opened().readFirst();
  const first = performance.now();
  const { backend } = opened();
  const restored = backend.restored?.metadata as { version?: number } | undefined;
  version = restored?.version ?? 0;
  while (backend.stats().unverifiedFiles > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
  const verified = performance.now();
  const { logBytes, totalBytes } = await backend.checkpoint({ version });
  return {
    startMs,
    openMs: opening - startMs,
    firstRecordMs: first - startMs,
    verifiedMs: verified - startMs,
    checkpointMs: performance.now() - startMs,
    logBytes,
    totalBytes,
    version,
  };
}

/** Rewrites so many rows, a checkpoint after each of as many rounds. Resolves to how many completed. */
async function change({ count, rounds }: { count: number; rounds: number }): Promise<number> {
  for (let round = 0; round < rounds; round++) {
    await opened().change(count);
    await opened().backend.checkpoint({ version: ++version });
  }
  return version;
}

/** Changes without end: to be killed in. */
function changeForEver(count: number): void {
  void (async () => {
    for (;;) {
      await opened().change(count);
      await opened().backend.checkpoint({ version: ++version });
    }
  })();
}

serve({ open, recover, change, changeForEver }, () => state?.backend.close());
