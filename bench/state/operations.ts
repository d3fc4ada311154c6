// The operations, as in Flink's own state benchmarks.

export const backends = ["lsm", "memory", "map", "classic-level"] as const;
export type BackendName = (typeof backends)[number];
export const keyTypes = ["number", "string20"] as const;
export type KeyType = (typeof keyTypes)[number];

export type Call =
  | "valueUpdate"
  | "valueAdd"
  | "valueGet"
  | "valueReadModifyWrite"
  | "listAdd"
  | "listGet"
  | "listUpdate"
  | "listAddAll100"
  | "mapPut"
  | "mapGet"
  | "mapContains"
  | "mapIterate"
  | "mapRemove"
  | "reducingAdd";

export interface Operation {
  readonly call: Call;
  /** Keys of the state before. */
  readonly keys: number;
  /**
   * Calls of a pass: exactly that many over distinct keys, prepared before each, untimed. Without
   * it a repetition lasts a set time and the index goes on.
   */
  readonly passCalls?: number | undefined;
  /** What a call counts for. */
  readonly unitsPerCall: number;
}

function operation(call: Call, keys = 500_000, passCalls?: number, unitsPerCall = 1): Operation {
  return { call, keys, passCalls, unitsPerCall };
}

export const operations: readonly Operation[] = [
  operation("valueReadModifyWrite"),
  operation("listAdd", 500_000, 500_000),
  operation("mapPut"),
  operation("mapGet"),
  operation("valueReadModifyWrite", 10_000),
  operation("valueReadModifyWrite", 2_000_000),
  operation("valueUpdate"),
  operation("valueAdd", 500_000, 500_000),
  operation("valueGet"),
  operation("listGet"),
  operation("listUpdate"),
  operation("listAddAll100", 500_000, 100_000),
  operation("mapContains"),
  operation("mapIterate", 500_000, undefined, 10),
  operation("mapRemove", 500_000, 500_000),
  operation("reducingAdd"),
];

export function isValueCall(call: Call): boolean {
  return call.startsWith("value");
}

/** What a child process is to measure. Plain data. */
export interface Assignment {
  readonly backend: BackendName;
  readonly operation: Operation;
  readonly keyType: KeyType;
  /** Keys whose state is compared, at most. */
  readonly checkedKeys: number;
  /** Scratch, of this child alone. */
  readonly directory: string;
}

export interface Timing {
  readonly calls: number;
  readonly ms: number;
}

/** Everything the subjects take from the outside world. Calls are by index, in runs. */
export interface Subject {
  /** Writes the state before, for the keys from `first` to below `end`, in ascending order. */
  fill(first: number, end: number): void;
  /** Makes the calls from index `first` to below `end`; returns the sum of what they read. */
  run(first: number, end: number): number;
  /** Undoes what a pass did, for its calls from `first` to below `end`. */
  undo(first: number, end: number): void;
  /** Folds the state of the keys from `first` to below `end` into the checksum. */
  fold(checksum: number, first: number, end: number): number;
  /** Something to await before the next run, or undefined. */
  settle(): Promise<void> | undefined;
  close(): Promise<void>;
}
