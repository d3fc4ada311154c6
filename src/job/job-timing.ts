// What the tasks of a checkpoint told of it, together. They may be elsewhere: what they tell is taken only as far as it
// is a duration, or a number of bytes.
import type { LoggedBytes, SnapshotResult } from "../api/keyed-state-backend.ts";
import type { CheckpointTiming, TimingPhases } from "../format/timing.ts";

/** Durations are the longest of a task, bytes the sum. */
export type TasksTiming = Omit<CheckpointTiming, "durationMs" | "phases"> & {
  readonly phases: TimingPhases;
};

export class JobTiming {
  #pauseMs = 0;
  #phases: TimingPhases = { cutMs: 0, appendMs: 0, syncMs: 0, uploadMs: 0 };
  #recoveryMs: number | undefined;
  #logged: LoggedBytes | undefined;
  #isMaterializing = false;

  add({ pauseMs, phases, estimatedRecoveryMs, logged, isMaterializing }: SnapshotResult): void {
    const before = this.#phases;
    this.#pauseMs = longest(this.#pauseMs, pauseMs);
    this.#phases = {
      cutMs: longest(before.cutMs, phases?.cutMs),
      appendMs: longest(before.appendMs, phases?.appendMs),
      syncMs: longest(before.syncMs, phases?.syncMs),
      uploadMs: longest(before.uploadMs, phases?.uploadMs),
    };
    if (estimatedRecoveryMs !== undefined) {
      this.#recoveryMs = longest(this.#recoveryMs ?? 0, estimatedRecoveryMs);
    }
    if (logged !== undefined) {
      const { bytes, rawBytes } = this.#logged ?? { bytes: 0, rawBytes: 0 };
      this.#logged = {
        bytes: bytes + longest(0, logged.bytes),
        rawBytes: rawBytes + longest(0, logged.rawBytes),
      };
    }
    if (isMaterializing === true) this.#isMaterializing = true;
  }

  timing(): TasksTiming {
    return {
      pauseMs: this.#pauseMs,
      phases: this.#phases,
      recoveryMs: this.#recoveryMs,
      logged: this.#logged,
      isMaterializing: this.#isMaterializing,
    };
  }
}

function longest(before: number, told: number | undefined): number {
  return told !== undefined && Number.isFinite(told) && told > before ? told : before;
}
