// How long the parts of a checkpoint took where they took longest. Tasks may be elsewhere: what they tell is
// taken only as far as it is a duration.
import type { SnapshotResult } from "../api/keyed-state-backend.ts";
import type { TimingPhases } from "../format/timing.ts";

export class SlowestTask {
  #pauseMs = 0;
  #phases: TimingPhases = { cutMs: 0, appendMs: 0, syncMs: 0, uploadMs: 0 };
  #recoveryMs: number | undefined;

  add({ pauseMs, phases, estimatedRecoveryMs }: SnapshotResult): void {
    const before = this.#phases;
    this.#pauseMs = longest(this.#pauseMs, pauseMs);
    this.#phases = {
      cutMs: longest(before.cutMs, phases?.cutMs),
      appendMs: longest(before.appendMs, phases?.appendMs),
      syncMs: longest(before.syncMs, phases?.syncMs),
      uploadMs: longest(before.uploadMs, phases?.uploadMs),
    };
    if (estimatedRecoveryMs === undefined) return;
    this.#recoveryMs = longest(this.#recoveryMs ?? 0, estimatedRecoveryMs);
  }

  timing(): {
    readonly pauseMs: number;
    readonly phases: TimingPhases;
    readonly recoveryMs: number | undefined;
  } {
    return { pauseMs: this.#pauseMs, phases: this.#phases, recoveryMs: this.#recoveryMs };
  }
}

function longest(before: number, told: number | undefined): number {
  return told !== undefined && Number.isFinite(told) && told > before ? told : before;
}
