// What a checkpoint costs in the registry of shared files, and what the registry keeps in memory.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { SharedFile } from "../../src/api/keyed-state-backend.ts";
import { SharedStateRegistry } from "../../src/coordinator/shared-state-registry.ts";
import type { TaskFiles } from "../../src/coordinator/task-change.ts";
import { xorshift32 } from "../support/sequences.ts";

export interface RegistryLoad {
  readonly fileCount: number;
  readonly taskCount: number;
  /** Files that each checkpoint adds, and gives back as many. */
  readonly changedCount: number;
  readonly checkpoints: number;
}

export interface RegistryMeasures {
  /** Register, complete and subsume; one figure a checkpoint. */
  readonly checkpointMs: readonly number[];
  /** A bare Map from id to number: as many ids added and deleted, at the same size. */
  readonly floorMs: readonly number[];
  readonly bytesPerFile: number;
  readonly floorBytesPerFile: number;
  readonly restoreMs: number;
}

export function measureRegistry(load: RegistryLoad): RegistryMeasures {
  const floor = new Files(load);
  const before = usedBytes();
  const map = new Map<string, number>();
  for (let number = 0; number < load.fileCount; number++) map.set(idOf(number), number);
  const floorBytesPerFile = (usedBytes() - before) / load.fileCount;
  const floorMs: number[] = [];
  for (let round = 0; round < load.checkpoints; round++) floorMs.push(changeMap(map, floor.next()));
  map.clear();
  return { ...measureSubject(load), floorMs, floorBytesPerFile };
}

type SubjectMeasures = Pick<RegistryMeasures, "checkpointMs" | "bytesPerFile" | "restoreMs">;

function measureSubject(load: RegistryLoad): SubjectMeasures {
  const files = new Files(load);
  const before = usedBytes();
  const registry = new SharedStateRegistry();
  const start = performance.now();
  registry.restore(1, files.all());
  const restoreMs = performance.now() - start;
  const bytesPerFile = (usedBytes() - before) / load.fileCount;
  if (registry.fileCount !== load.fileCount) throw new Error("files are missing");
  const checkpointMs: number[] = [];
  for (let base = 1; base <= load.checkpoints; base++) {
    const changes = files.next().map((change) => ({ ...change, base }));
    checkpointMs.push(takeCheckpoint(registry, base + 1, changes, load.changedCount));
  }
  return { checkpointMs, bytesPerFile, restoreMs };
}

function takeCheckpoint(
  registry: SharedStateRegistry,
  checkpointId: number,
  changes: readonly TaskFiles[],
  changedCount: number,
): number {
  const start = performance.now();
  registry.begin(checkpointId, checkpointId - 1);
  changes.forEach((change, task) => registry.register(checkpointId, task, change));
  registry.complete(checkpointId);
  registry.subsume(checkpointId - 1);
  const discarded = registry.takeDiscardable().length;
  const milliseconds = performance.now() - start;
  if (discarded !== changedCount) throw new Error(`${discarded} files are discarded`);
  return milliseconds;
}

function changeMap(map: Map<string, number>, changes: readonly TaskFiles[]): number {
  const start = performance.now();
  for (const { created, released } of changes) {
    for (const file of created) map.set(file.id, file.lengthBytes);
    for (const id of released) map.delete(id);
  }
  return performance.now() - start;
}

/** Files are numbers here, so that what the bench itself keeps is small and made before measuring. */
class Files {
  readonly #load: RegistryLoad;
  readonly #live: Int32Array;
  #nextFile: number;
  #x = 48;

  constructor(load: RegistryLoad) {
    this.#load = load;
    this.#live = Int32Array.from({ length: load.fileCount }, (_, number) => number);
    this.#nextFile = load.fileCount;
  }

  *all(): IterableIterator<readonly [number, readonly SharedFile[]]> {
    for (let task = 0; task < this.#load.taskCount; task++) {
      const { first, count } = this.#shareOf(task);
      yield [task, Array.from({ length: count }, (_, at) => fileOf(first + at))];
    }
  }

  /** Each task replaces its share of the changed files by new ones, wherever they stand. */
  next(): TaskFiles[] {
    const { taskCount, changedCount } = this.#load;
    return Array.from({ length: taskCount }, (_, task) => {
      const { first, count } = this.#shareOf(task);
      const created: SharedFile[] = [];
      const released: string[] = [];
      for (let change = 0; change < changedCount / taskCount; change++) {
        this.#x = xorshift32(this.#x);
        const at = first + ((this.#x >>> 0) % count);
        if (this.#live[at]! >= this.#nextFile - created.length) {
          change--; // Chosen a moment ago.
          continue;
        }
        released.push(idOf(this.#live[at]!));
        this.#live[at] = this.#nextFile++;
        created.push(fileOf(this.#live[at]!));
      }
      return { base: undefined, created, reused: [], released };
    });
  }

  #shareOf(task: number): { readonly first: number; readonly count: number } {
    const count = Math.floor(this.#load.fileCount / this.#load.taskCount);
    return { first: task * count, count };
  }
}

const idWords = new Int32Array(4);
const idBytes = Buffer.from(idWords.buffer);

/** 128 bits that depend on the number only, and look random. */
function idOf(number: number): string {
  let x = Math.imul(number + 1, 0x9e3779b1) | 1;
  for (let word = 0; word < 4; word++) idWords[word] = x = xorshift32(x);
  return idBytes.toString("hex");
}

const sha256 = "5".repeat(64);

function fileOf(number: number): SharedFile {
  return { id: idOf(number), lengthBytes: 2_000_000 + number, sha256 };
}

/** After a collection: objects, and what typed arrays hold. */
function usedBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
