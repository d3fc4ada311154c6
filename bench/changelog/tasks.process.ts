// Eight tasks in one process, under one coordinator. Says what their checkpoints created, and marks in
// the trace of its system calls, if there is one, where they begin and end.
import { closeSync, fsyncSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { nodeEnvironment } from "../../src/environment/node-environment.ts";
import { KeyTag, encodeKeyPayload, hashKeyPayload } from "../../src/format/key-codec.ts";
import {
  type Environment,
  type FileSystem,
  type KeyedStateBackend,
  MIB,
  f64,
  fileSystemStorage,
  keyedStateTask,
  openCheckpointCoordinator,
  openKeyedStateBackend,
  openStateHost,
} from "../../src/index.ts";
import { markerName } from "./sync-trace.ts";

export interface TaskFigures {
  readonly checkpoints: number;
  /** Names that appeared among the data files, and among the metadata. */
  readonly newFiles: number;
  readonly newMetadata: number;
  /** Calls through the environment of the main thread: others have their own. */
  readonly calls: Readonly<Record<CountedCall, number>>;
}

type CountedCall = "create" | "sync" | "syncFile" | "syncDirectory";

const taskCount = 8;
const keyGroups = 128;
const keysPerTask = 2000;
const warmUp = 4;

const [, , directory = "", countText = "", traced = ""] = process.argv;
const checkpoints = Number(countText);
const calls: Record<CountedCall, number> = { create: 0, sync: 0, syncFile: 0, syncDirectory: 0 };

function countingEnvironment(): Environment {
  const environment = nodeEnvironment();
  const { fileSystem } = environment;
  const counted: Partial<FileSystem> = {
    create: async (path) => {
      calls.create++;
      const file = await fileSystem.create(path);
      const counting = (sync: () => Promise<void>) => (): Promise<void> => {
        calls.sync++;
        return sync();
      };
      return overriding(file, {
        sync: counting(() => file.sync()),
        syncData: counting(() => file.syncData()),
      });
    },
    syncFile: (path) => {
      calls.syncFile++;
      return fileSystem.syncFile(path);
    },
    syncDirectory: (path) => {
      calls.syncDirectory++;
      return fileSystem.syncDirectory(path);
    },
  };
  return { ...environment, fileSystem: overriding(fileSystem, counted) };
}

/** The object with some methods of its own. */
function overriding<T extends object>(target: T, overrides: Partial<T>): T {
  return new Proxy(target, {
    get(object, property) {
      const own: unknown = Reflect.get(overrides, property);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(object, property);
      return typeof value === "function" ? (value.bind(object) as unknown) : value;
    },
  });
}

/** A sync of a file whose name the trace shows. */
function mark(): void {
  const file = openSync(join(directory, markerName), "a");
  fsyncSync(file);
  closeSync(file);
}

function change(backend: KeyedStateBackend, round: number): void {
  const state = backend.valueState({ name: "count", value: f64 });
  const { first, last } = backend.keyGroups;
  for (const key of keysOf(first, last)) {
    backend.setCurrentKey(key);
    state.update(round + key);
  }
}

const known = new Map<number, readonly number[]>();

/** So many numbers of these key groups. */
function keysOf(first: number, last: number): readonly number[] {
  const found = known.get(first);
  if (found !== undefined) return found;
  const keys: number[] = [];
  for (let key = 0; keys.length < keysPerTask; key++) {
    const group = groupOfNumber(key);
    if (group >= first && group <= last) keys.push(key);
  }
  known.set(first, keys);
  return keys;
}

function groupOfNumber(key: number): number {
  return keyGroupOf(hashKeyPayload(KeyTag.number, encodeKeyPayload(key)), keyGroups);
}

async function main(): Promise<TaskFigures> {
  const environment = countingEnvironment();
  const storagePath = join(directory, "checkpoints");
  const checkpointStorage = fileSystemStorage(storagePath, {}, environment);
  await using host = await openStateHost({ memoryBudgetBytes: 512 * MIB, environment });
  await using coordinator = await openCheckpointCoordinator({
    checkpointStorage,
    taskCount,
    policy: "changelog",
    restore: "latest-or-new",
    environment,
  });
  const backends: KeyedStateBackend[] = [];
  for (let task = 0; task < taskCount; task++) {
    const width = keyGroups / taskCount;
    const backend = await openKeyedStateBackend({
      host,
      policy: "changelog",
      workingDirectory: join(directory, `working-${task}`),
      checkpointStorage,
      restore: coordinator.restore,
      keyGroups: { max: keyGroups, first: task * width, last: (task + 1) * width - 1 },
    });
    backends.push(backend);
  }
  coordinator.start(backends.map((backend) => keyedStateTask(backend)));
  let files = new Set<string>();
  let metadata = new Set<string>();
  let newFiles = 0;
  let newMetadata = 0;
  const added = (folder: string, before: Set<string>): [number, Set<string>] => {
    const after = new Set(readdirSync(join(storagePath, folder)));
    return [[...after].filter((name) => !before.has(name)).length, after];
  };
  for (let checkpoint = -warmUp; checkpoint < checkpoints; checkpoint++) {
    for (const backend of backends) change(backend, checkpoint);
    await delay(30);
    if (checkpoint === 0) {
      Object.assign(calls, { create: 0, sync: 0, syncFile: 0, syncDirectory: 0 });
      if (traced === "traced") mark();
    }
    await coordinator.trigger();
    const [filesAdded, filesNow] = added("files", files);
    const [metadataAdded, metadataNow] = added("metadata", metadata);
    [files, metadata] = [filesNow, metadataNow];
    if (checkpoint < 0) continue;
    newFiles += filesAdded;
    newMetadata += metadataAdded;
  }
  if (traced === "traced") mark();
  const figures = { checkpoints, newFiles, newMetadata, calls: { ...calls } };
  for (const backend of backends) await backend.close();
  return figures;
}

process.stdout.write(`${JSON.stringify(await main())}\n`);
