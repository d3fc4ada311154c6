// A job of several tasks under one coordinator, and a model of what it holds.
import assert from "node:assert/strict";
import {
  fileSystemStorage,
  keyedStateTask,
  openCheckpointCoordinator,
  utf8,
} from "../../src/index.ts";
import type {
  ChangelogOptions,
  CheckpointCoordinator,
  CheckpointCoordinatorOptions,
  CheckpointPolicy,
  CheckpointStorage,
  CheckpointTask,
  Environment,
  KeyGroupRange,
  KeyedStateBackend,
  RestoreHandles,
  ValueState,
} from "../../src/index.ts";
import { openKeyedStateBackend } from "../../src/index.ts";
import { busyChangelog } from "./busy-changelog.ts";
import { orderChecked } from "./order-checker.ts";
import { groupOf } from "./savepoint-job.ts";
import { toyDatabases } from "./toy-database.ts";

export const KEY_GROUPS = 8;

export interface TaskJobOptions {
  readonly environment: Environment;
  readonly backend: "lsm" | "memory";
  /** Of the lsm backend. @defaultValue its own */
  readonly policy?: CheckpointPolicy | undefined;
  /** Of policy "changelog". @defaultValue busy */
  readonly changelog?: ChangelogOptions | undefined;
  /** Directory of the checkpoints. */
  readonly storagePath: string;
  /** Directory of each task's working directory. */
  readonly workPath: string;
  /** Tells the owners of a job apart: two may trigger the same id. */
  readonly tag?: string | undefined;
  readonly wrap?: ((storage: CheckpointStorage) => CheckpointStorage) | undefined;
}

type Coordinating = Partial<
  Omit<CheckpointCoordinatorOptions, "checkpointStorage" | "environment" | "backend">
>;

interface Task {
  readonly backend: KeyedStateBackend;
  readonly value: ValueState<string>;
}

/** Key groups of each of so many tasks. */
export function rangesOf(taskCount: number): KeyGroupRange[] {
  return Array.from({ length: taskCount }, (_, task) => ({
    max: KEY_GROUPS,
    first: Math.floor((task * KEY_GROUPS) / taskCount),
    last: Math.floor(((task + 1) * KEY_GROUPS) / taskCount) - 1,
  }));
}

/** The name of the restored checkpoint's model: each task has stored it. */
export function modelNameOf(restore: RestoreHandles): string {
  const names = restore.metadata as readonly string[];
  assert.ok(names.every((name) => name === names[0]));
  return names[0]!;
}

/** Where all calls go through the environment their order is checked. */
function withOrder({ environment, storagePath, workPath }: TaskJobOptions): Environment {
  if (environment.fileSystem.isNative) return environment;
  return orderChecked(environment, [storagePath, workPath]);
}

/** Where LevelDB cannot be, a toy is in its place, and the order of what it does is checked too. */
function withDatabase(environment: Environment): Environment {
  const { fileSystem } = environment;
  if (fileSystem.isNative) return environment;
  return { ...environment, openDatabase: toyDatabases(fileSystem) };
}

export class TaskJob {
  readonly options: TaskJobOptions;
  readonly storage: CheckpointStorage;
  readonly coordinator: CheckpointCoordinator;
  tasks: readonly Task[] = [];
  model: Map<string, string> = new Map();
  /** Of each checkpoint, from its trigger on, by what its tasks store as their metadata. */
  readonly models: Map<string, ReadonlyMap<string, string>> = new Map();
  readonly completed: number[] = [];
  readonly failures: Error[];
  /** Wraps the tasks that are given to the coordinator. */
  wrapTask: (task: CheckpointTask, index: number) => CheckpointTask = (task) => task;

  private constructor(
    options: TaskJobOptions,
    storage: CheckpointStorage,
    coordinator: CheckpointCoordinator,
    failures: Error[],
  ) {
    this.options = options;
    this.storage = storage;
    this.coordinator = coordinator;
    this.failures = failures;
  }

  static async open(given: TaskJobOptions, coordinating: Coordinating = {}): Promise<TaskJob> {
    const options = { ...given, environment: withDatabase(withOrder(given)) };
    const { environment, backend, policy, storagePath, wrap = (storage) => storage } = options;
    const storage = wrap(fileSystemStorage(storagePath, {}, environment));
    const failures: Error[] = [];
    const coordinator = await openCheckpointCoordinator({
      taskCount: 2,
      restore: "latest-or-new",
      onFailure: (error) => failures.push(error),
      checkpointStorage: storage,
      environment,
      backend,
      policy,
      ...coordinating,
    });
    return new TaskJob(options, storage, coordinator, failures);
  }

  /** Opens and starts the tasks. `models`: of the job's earlier owners. */
  async start(
    taskCount: number,
    restore: RestoreHandles = this.coordinator.restore,
    models: ReadonlyMap<string, ReadonlyMap<string, string>> = this.models,
  ): Promise<void> {
    const { environment, backend, policy, changelog = busyChangelog, workPath } = this.options;
    const tasks: Task[] = [];
    for (const [index, keyGroups] of rangesOf(taskCount).entries()) {
      const opened = await openKeyedStateBackend({
        backend,
        policy,
        ...(policy === "changelog" ? { changelog } : {}),
        workingDirectory: `${workPath}/task-${index}`,
        checkpointStorage: this.storage,
        keyGroups,
        restore,
        memoryBudgetBytes: 16 * 1024 * 1024,
        environment,
      });
      tasks.push({ backend: opened, value: opened.valueState({ name: "value", value: utf8 }) });
    }
    this.tasks = tasks;
    this.model = new Map(restore.checkpointId === 0 ? [] : models.get(modelNameOf(restore))!);
    this.coordinator.start(tasks.map((task, index) => this.wrapTask(this.#taskOf(task), index)));
  }

  /** What the tasks store with a checkpoint. */
  modelName(checkpointId: number): string {
    return `${this.options.tag ?? "owner"} ${checkpointId}`;
  }

  #taskOf({ backend }: Task): CheckpointTask {
    let triggered = 0;
    const task = keyedStateTask(
      backend,
      () => this.modelName(triggered),
      (checkpointId) => {
        if (!this.completed.includes(checkpointId)) this.completed.push(checkpointId);
      },
    );
    return {
      ...task,
      triggerCheckpoint: (checkpointId, options) => {
        triggered = checkpointId;
        const name = this.modelName(checkpointId);
        if (!this.models.has(name)) this.models.set(name, new Map(this.model));
        return task.triggerCheckpoint(checkpointId, options);
      },
    };
  }

  write(key: string, value: string): void {
    const group = groupOf(key, KEY_GROUPS);
    const task = this.tasks.find(({ backend }) => {
      return group >= backend.keyGroups.first && group <= backend.keyGroups.last;
    })!;
    task.backend.withKey(key, () => task.value.update(value));
    this.model.set(key, value);
  }

  /** As before a record: until the write buffers have room. */
  async makeRoom(): Promise<void> {
    for (const { backend } of this.tasks) {
      if (backend.needsDrain) await backend.drained();
    }
  }

  /** Every key of every task is what the model says, and there is no other. */
  async verify(): Promise<void> {
    const found = new Map<string, string>();
    for (const { backend, value } of this.tasks) {
      for await (const key of value.keys()) {
        const stored = backend.withKey(key, () => value.value());
        assert.ok(!found.has(key as string), "a key in two tasks");
        found.set(key as string, stored!);
      }
    }
    const sorted = (map: ReadonlyMap<string, string>) =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(sorted(found), sorted(this.model));
  }

  async closeTasks(): Promise<void> {
    for (const { backend } of this.tasks) await backend.close();
    this.tasks = [];
  }

  async close(): Promise<void> {
    await this.coordinator.close();
    await this.closeTasks();
  }
}
