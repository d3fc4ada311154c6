// The operations, by the names and with the definitions of the measurements of Flink's backends:
// each is a call of `setCurrentKey`, then the call of the state. native-bench/flink's Operations has
// the same, call for call.

export interface RivalOperation {
  readonly name: string;
  /** Keys of the state before. */
  readonly keys: number;
  /** Calls of a pass over distinct keys, prepared untimed; 0: repetitions last a set time. */
  readonly passCalls: number;
  /** The calls take keys that have no state. */
  readonly fresh: boolean;
  /** What a call counts for. */
  readonly unitsPerCall: number;
  /** Times the better of Flink's RocksDB settings (E1), and of its heap's (E2). */
  readonly askedOfRocksdb: number;
  readonly askedOfHeap: number;
}

type Details = Partial<Omit<RivalOperation, "name" | "askedOfRocksdb" | "askedOfHeap">>;

function operation(
  name: string,
  askedOfRocksdb: number,
  askedOfHeap: number,
  details: Details = {},
): RivalOperation {
  const before = { keys: 500_000, passCalls: 0, fresh: false, unitsPerCall: 1 };
  return { name, ...before, ...details, askedOfRocksdb, askedOfHeap };
}

const pass: Details = { passCalls: 500_000 };
const freshPass: Details = { passCalls: 500_000, fresh: true };

export const rivalOperations: readonly RivalOperation[] = [
  operation("valueRmw500k", 18, 1.2),
  operation("stringRmw500k/fresh", 5, 3),
  operation("valueGet", 10, 0.8),
  operation("valueUpdate", 12, 0.8),
  operation("valueRmw10k", 18, 1.2, { keys: 10_000 }),
  operation("valueAdd", 5, 0.5, freshPass),
  operation("stringRmw500k", 5, 0.5),
  operation("listGet", 15, 0.5),
  operation("listGetAndIterate", 5, 0.5),
  operation("listUpdate", 5, 0.5),
  operation("listAdd", 8, 0.8, freshPass),
  operation("listAppend", 8, 0.8, pass),
  operation("listAddAll100", 5, 0.5, { passCalls: 100_000 }),
  operation("listGetAndIterate101", 5, 0.5, { keys: 100_000 }),
  operation("mapGet", 15, 0.8),
  operation("mapUpdate", 8, 0.8),
  operation("mapContains", 15, 0.5),
  operation("mapIsEmpty", 5, 0.5),
  operation("mapIterator", 8, 0.5, { unitsPerCall: 10 }),
  operation("mapRemove", 5, 0.5, pass),
  operation("mapAdd", 5, 0.5, freshPass),
  operation("mapPutAll10", 5, 0.5),
  operation("reducingAdd", 5, 0.5),
];

/** What a child measures: every contestant gets the same, but for its own directory. */
export interface OperationAssignment {
  readonly subject: "operations";
  readonly operation: string;
  readonly keys: number;
  readonly passCalls: number;
  readonly fresh: boolean;
  readonly backend: string;
  readonly managedBytes: number;
  readonly directory: string;
}

export interface RivalTiming {
  readonly ops: number;
  readonly millis: number;
}

/** State of the checked keys folded, and the sum of all that was read. */
export interface RivalChecksum {
  readonly state: number;
  readonly sum: number;
}

/** Whether a state holds how often its key was called, which differs with the speed. */
export function countsCalls(name: string): boolean {
  return name.includes("Rmw");
}

/** Calls after which the state no longer tells how many there were: all cycles are whole. */
export const wholeCycleCalls = 1_000_000;
