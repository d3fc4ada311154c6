// What a soak has seen, a sample for each round, and whether it grew.
//   S1. Files come and go with each restart: only whole cycles of restarts are compared.

export interface Sample {
  readonly residentBytes: number;
  readonly handles: number;
  readonly threads: number;
  /** In the working directories. */
  readonly files: number;
  readonly storedFiles: number;
  readonly checkpoints: number;
}

/** Rounds from one restart to the next. */
export const RESTART_EVERY = 15;
/** Compared are medians of the second and the last quarter: the first one warms up, and fills the state. */
const QUARTERS = 4;
const CYCLES_MIN = 8;
const RESIDENT_GROWTH_MAX = 1.15;
const RESIDENT_SLACK_BYTES = 24 * 1024 * 1024;
const COUNT_SLACK = 4;

export interface Compared {
  readonly name: Exclude<keyof Sample, "checkpoints">;
  readonly early: number;
  readonly late: number;
  readonly grows: boolean;
}

const names = ["residentBytes", "handles", "threads", "files", "storedFiles"] as const;

/** S1: after so many rounds quarters are whole cycles, and the state has long had all its keys. */
export function isWhole(rounds: number): boolean {
  return rounds >= CYCLES_MIN * RESTART_EVERY && rounds % (QUARTERS * RESTART_EVERY) === 0;
}

/** Undefined if there are not as many samples as `isWhole` asks for. */
export function compare(samples: readonly Sample[]): readonly Compared[] | undefined {
  if (!isWhole(samples.length)) return undefined;
  const quarter = samples.length / QUARTERS;
  return names.map((name) => {
    const early = medianOf(samples.slice(quarter, 2 * quarter), name);
    const late = medianOf(samples.slice(-quarter), name);
    const limit =
      name === "residentBytes"
        ? early * RESIDENT_GROWTH_MAX + RESIDENT_SLACK_BYTES
        : early + COUNT_SLACK;
    return { name, early, late, grows: late > limit };
  });
}

function medianOf(samples: readonly Sample[], name: keyof Sample): number {
  const sorted = samples.map((sample) => sample[name]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
