// Child process: rows on Varve; checkpoints of them, restores, and rescales by key groups.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type KeyGroupRange,
  type KeyedStateBackend,
  MIB,
  type RestoreTarget,
  type RestoreVerification,
  type Serializer,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { neverMaterialize } from "../changelog/subject.ts";
import { serve } from "../support/child.ts";
import { fillBytes, xorshift32 } from "../support/sequences.ts";
import type { RowsAssignment } from "./cold.ts";
import { keyGroupOfNumber, keysByGroup } from "./key-groups.ts";
import type { Prepared, RestoreOf, RestoreTimes } from "./recovery.ts";

const max = 128;
const whole: KeyGroupRange = { max, first: 0, last: max - 1 };
const halves: readonly KeyGroupRange[] = [
  { max, first: 0, last: max / 2 - 1 },
  { max, first: max / 2, last: max - 1 },
];
const rounds = 8;
const reads = 1000;

interface Opening {
  readonly restore: RestoreTarget;
  readonly keyGroups: KeyGroupRange;
  readonly policy: "incremental" | "changelog";
  readonly verification: RestoreVerification;
}

class Task {
  readonly backend: KeyedStateBackend;
  readonly keyGroups: KeyGroupRange;
  readonly #state: ValueState<Uint8Array>;

  private constructor(backend: KeyedStateBackend, keyGroups: KeyGroupRange) {
    const value: Serializer<Uint8Array> = bytes;
    this.backend = backend;
    this.keyGroups = keyGroups;
    this.#state = backend.valueState({ name: "value", value });
  }

  /** Below its own name, so that nothing is shared but what is restored from. */
  static async open(name: string, opening: Opening): Promise<Task> {
    const { directory, managedBytes } = assigned();
    const { restore, keyGroups, policy, verification } = opening;
    const backend = await openKeyedStateBackend({
      workingDirectory: join(directory, "working", name),
      checkpointStorage: fileSystemStorage(join(directory, name)),
      restore,
      keyGroups,
      policy,
      ...(policy === "changelog" ? { changelog: neverMaterialize } : {}),
      memoryBudgetBytes: managedBytes,
      retainedCheckpoints: 1,
      restoreVerification: verification,
    });
    return new Task(backend, keyGroups);
  }

  async put(key: number, version: number): Promise<void> {
    const value = new Uint8Array(assigned().valueBytes);
    fillBytes(value, key, version);
    this.backend.setCurrentKey(key);
    this.#state.update(value);
    if (this.backend.needsDrain) await this.backend.drained();
  }

  /** Until compaction has nothing left to rewrite: as a job that has run for a while. */
  async settle(): Promise<void> {
    for (let quiet = 0, attempt = 0; quiet < 2 && attempt < 200; attempt++) {
      const { uploadedBytes } = await this.backend.checkpoint();
      quiet = uploadedBytes < MIB ? quiet + 1 : 0;
      await delay(300);
    }
  }

  /** Eight times one percent of the rows, a checkpoint after each. */
  async change(): Promise<Prepared> {
    const { keys } = assigned();
    let newest = await this.backend.checkpoint();
    for (let round = 0; round < rounds; round++) {
      for (let key = residueOf(round); key < keys; key += 100) await this.put(key, round + 1);
      newest = await this.backend.checkpoint();
    }
    return { stateBytes: newest.totalBytes };
  }

  verify(count: number): void {
    const { keys, valueBytes } = assigned();
    const expected = new Uint8Array(valueBytes);
    let x = 49;
    for (let read = 0; read < count;) {
      x = xorshift32(x);
      const key = (x >>> 0) % keys;
      const group = keyGroupOfNumber(key);
      if (group < this.keyGroups.first || group > this.keyGroups.last) continue;
      this.backend.setCurrentKey(key);
      fillBytes(expected, key, versionOf(key));
      const value = this.#state.value();
      if (value === undefined || Buffer.compare(value, expected) !== 0) {
        throw new Error(`the row of key ${key} is wrong`);
      }
      read++;
    }
  }
}

function residueOf(round: number): number {
  return (37 * round) % 100;
}

function versionOf(key: number): number {
  for (let round = 0; round < rounds; round++) if (key % 100 === residueOf(round)) return round + 1;
  return 0;
}

let assignment: RowsAssignment | undefined;
let opened = 0;

function assigned(): RowsAssignment {
  if (assignment === undefined) throw new Error("nothing was assigned yet");
  return assignment;
}

function pathOf(name: string): string {
  return join(assigned().directory, name);
}

async function prepare(): Promise<Prepared> {
  const from = { keyGroups: whole, verification: "behind" } as const;
  const loading = { ...from, policy: "incremental", restore: "latest-or-new" } as const;
  const base = await Task.open("incremental", loading);
  for (const key of keysByGroup(assigned().keys)) await base.put(key, 0);
  await base.settle();
  await base.backend.close();
  const logging = { ...from, policy: "changelog", restore: pathOf("incremental") } as const;
  const log = await Task.open("changelog", logging);
  const { stateBytes: withLog } = await log.change();
  await log.backend.close();
  const resumed = await Task.open("incremental", loading);
  const { stateBytes } = await resumed.change();
  await resumed.backend.close();
  return { stateBytes, withLog };
}

/** Checkpoints of two tasks, to be merged. */
async function halve(): Promise<void> {
  for (const [index, keyGroups] of halves.entries()) {
    const restore = pathOf("incremental");
    const name = `half-${index}`;
    const task = await Task.open(name, {
      restore,
      keyGroups,
      policy: "incremental",
      verification: "behind",
    });
    await task.settle();
    await task.backend.close();
  }
}

async function restore(what: RestoreOf, verification: RestoreVerification): Promise<RestoreTimes> {
  const policy = what === "changelog" ? "changelog" : "incremental";
  const from = what === "merge" ? [pathOf("half-0"), pathOf("half-1")] : pathOf(policy);
  const ranges = what === "split" ? halves : [whole];
  const tasks: Task[] = [];
  const names = ranges.map(() => `restored-${++opened}`);
  const start = performance.now();
  for (const [index, keyGroups] of ranges.entries()) {
    tasks.push(await Task.open(names[index]!, { restore: from, keyGroups, policy, verification }));
  }
  const usableMs = performance.now() - start;
  for (const task of tasks) task.verify(1);
  const firstMs = performance.now() - start;
  for (const task of tasks) task.verify(Math.floor(reads / tasks.length));
  const withReadsMs = performance.now() - start;
  while (tasks.some(({ backend }) => backend.stats().unverifiedFiles > 0)) await delay(5);
  const verifiedMs = performance.now() - start;
  for (const { backend } of tasks) await backend.close();
  for (const name of names) {
    await rm(pathOf(name), { recursive: true, force: true });
    await rm(join(pathOf("working"), name), { recursive: true, force: true });
  }
  return { usableMs, firstMs, withReadsMs, verifiedMs };
}

interface RestoreRequest {
  readonly what: RestoreOf;
  readonly verification: RestoreVerification;
}

serve(
  {
    open: (given: RowsAssignment) => void (assignment = given),
    prepare,
    halve,
    restore: ({ what, verification }: RestoreRequest) => restore(what, verification),
  },
  () => undefined,
);
