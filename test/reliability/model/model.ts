// One history of random commands under eight sets of options, each beside nested maps: whatever the
// options, what is seen is the same.
import * as fc from "fast-check";
import { KIB, MIB } from "../../../src/index.ts";
import type { KeyedStateBackendOptions } from "../../../src/index.ts";
import { kinds, runHistory } from "../../property/backend-run.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";

/** Of about 150 operations each, some of them thousands of rows. */
const ACTIONS = 34;
const FILL_ROWS = 60;

const small = { writeBufferBytes: 256 * KIB, fileSizeBytes: MIB };
const changelog = { segmentBytes: 64 * KIB, materializationLogBytes: 128 * KIB };

const optionSets: Readonly<Record<string, Partial<KeyedStateBackendOptions>>> = {
  memory: { backend: "memory", memoryBudgetBytes: 64 * MIB },
  full: { policy: "full" },
  incremental: { policy: "incremental" },
  incrementalSmall: { policy: "incremental", lsm: small },
  changelog: { policy: "changelog", changelog },
  changelogSmall: {
    policy: "changelog",
    changelog: { ...changelog, earlyAppendBytes: 512 * KIB, materializationIntervalMs: 100 },
    lsm: { ...small, compression: false },
  },
  behind: { policy: "incremental", restoreVerification: "behind" },
  localRecovery: { policy: "incremental", localRecovery: true, retainedCheckpoints: 1 },
};

class ModelRun implements PartRun {
  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    const histories = fc.array(
      fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 0, max: 2 ** 31 })),
      { minLength: ACTIONS, maxLength: ACTIONS },
    );
    const [history = []] = fc.sample(histories, { seed, numRuns: 1 });
    tally.trials = 1;
    for (const [name, options] of Object.entries(optionSets)) {
      try {
        await runHistory(history, options, FILL_ROWS);
        tally.count(name);
      } catch (error) {
        const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
        tally.fail("different", `${name}: ${what}`);
      }
    }
    return tally;
  }

  async close(): Promise<void> {}
}

export const model: Part = {
  name: "model",
  what: "random histories against nested maps, the same under eight sets of options",
  unit: "histories",
  asked: 1000,
  sliceSeeds: 1,
  trialSecondsMax: 300,
  open: async () => new ModelRun(),
};
