// What is asked, and what makes each comparison unfair: the one table of it.

export const measureIds = [
  "E1",
  "E2",
  "E3",
  "E4",
  "E5",
  "E6",
  "E7",
  "E8",
  "E9",
  "further",
] as const;
export type MeasureId = (typeof measureIds)[number];

export interface Chosen {
  readonly measures: readonly MeasureId[];
  /** Names of operations; undefined: all. */
  readonly operations: readonly string[] | undefined;
}

/** `--only` takes measures and operations: an operation alone means E1 to E3 of it. */
export function chosenOf(only: readonly string[] | undefined): Chosen {
  if (only === undefined) return { measures: measureIds, operations: undefined };
  const isMeasure = (name: string): name is MeasureId =>
    (measureIds as readonly string[]).includes(name);
  const asked = only.filter(isMeasure);
  const operations = only.filter((name) => !isMeasure(name));
  if (operations.length === 0) return { measures: asked, operations: undefined };
  const ofOperations = asked.some((id) => id === "further" || operationMeasures.includes(id));
  return { measures: ofOperations ? asked : [...operationMeasures, ...asked], operations };
}

const operationMeasures: readonly MeasureId[] = ["E1", "E2", "E3"];

const operationsOfFlink =
  "To Flink: its backends stand alone, no task around them, which flatters it a little; RocksDB reads and writes " +
  "a memtable or the page cache through JNI, as in Flink's own benchmarks. To Varve: keys are numbers here, of which " +
  "JavaScript knows doubles only; each contestant has the second core for its background threads.";

export const unfairness: Readonly<Record<MeasureId, string>> = {
  E1: operationsOfFlink,
  E2:
    `${operationsOfFlink} The heap has no bound on memory, pays garbage collection only within its 4 GB, and ` +
    "stores boxed Longs; Varve's budget is 3 GiB, so that nothing leaves the buffer.",
  E3:
    "To Varve: a Map keeps no bytes, takes no checkpoints and has no bound. To the Map: its row is an object, so a " +
    "new key would allocate; no key is new here.",
  E4:
    "To Flink: of the limit the JVM takes its heap, metaspace and compiled code, as it would on a cluster. To Varve: " +
    "Node.js takes its own share. The limit is a cgroup's where `limit` says so; then it includes the page cache. " +
    "Values are incompressible. lmdb maps its file, and its page cache is its only cache.",
  E5: "As E4. Skew is kind to whoever keeps rows rather than blocks in memory, which is the point.",
  E6:
    "To Flink: its rate holds source, mailbox, metrics and the RPC of a cluster in one process; ours a loop around the " +
    "backend, with a source that makes the same strings. Flink's state starts empty in each repetition, as ours. To " +
    "Varve: Flink's changelog does not sync its files, ours are synced; its checkpoint's end to end time includes a " +
    'coordinator on the same machine, ours its metadata made durable. Rows with "nothing synced on either side" have ' +
    "ours with libeatmydata, which makes nothing of syncs.",
  E7:
    "Bytes are those of files seen in the checkpoint directories during the window, at their longest, for both. A file " +
    "that lived for less than the time between two looks is missed, on either side. Varve links SST files where " +
    "Flink copies them: both count in full.",
  E8:
    "Bytes are what /proc/self/io says the process caused to be written, page cache included, so hard links are " +
    "free for Varve. To raw classic-level: it takes no checkpoints and could be given larger memtables; its cache " +
    "and memtables are Varve's whole budget.",
  E9:
    "To Flink: Varve links files on one file system and verifies them behind (`before` is beside), Flink copies " +
    "them, as it would from an object store; its local recovery is not used. To Varve: Flink verifies no hashes. The " +
    "page cache is warm for both.",
  further:
    "Each engine through its usual interface: memory-level and lmdb in JavaScript values encoded as bytes, SQLite in " +
    "one transaction for 1,000 calls, LevelDB and RocksDB natively from C++ without JavaScript at all.",
};
