// The transcript of docs/operations.md is what this job prints: stopped with a savepoint, rescaled
// from two tasks to three and to one, upgraded, branched, and resumed, on the lsm backend.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import {
  MIB,
  f64,
  fileSystemStorage,
  json,
  keyedStateTask,
  openCheckpointCoordinator,
  openKeyedStateBackend,
} from "../../src/index.ts";
import type { KeyedStateBackend, RestoreHandles, Serializer, ValueState } from "../../src/index.ts";
import { convertCheckpoint } from "../../src/inspect/index.ts";
import { groupOf } from "../support/savepoint-job.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const GROUPS = 16;
const KEYS = 300;

interface Total {
  readonly sum: number;
  /** Records since the upgrade. */
  readonly added: number;
}

/** A job: counts what each key sums up to. `T` is what version 1 or 2 keeps of it. */
class Job<T> {
  readonly root: string;
  readonly log: string[];
  readonly #value: Serializer<T>;
  readonly #add: (before: T | undefined, amount: number) => T;
  tasks: { backend: KeyedStateBackend; total: ValueState<T> }[] = [];
  offset = 0;

  constructor(
    root: string,
    log: string[],
    value: Serializer<T>,
    add: (before: T | undefined, amount: number) => T,
  ) {
    this.root = root;
    this.log = log;
    this.#value = value;
    this.#add = add;
  }

  async start(taskCount: number, storage: string, restore: string) {
    const checkpointStorage = fileSystemStorage(join(this.root, storage));
    const path = restore.startsWith("latest") ? restore : join(this.root, restore);
    const coordinator = await openCheckpointCoordinator({
      checkpointStorage,
      taskCount,
      restore: path,
      retainedCheckpoints: 2,
    });
    for (let task = 0; task < taskCount; task++) {
      this.tasks.push(await this.#open(task, taskCount, storage, coordinator.restore));
    }
    const [offset = 0] = (coordinator.restore.metadata ?? []) as number[];
    this.offset = offset;
    coordinator.start(this.tasks.map(({ backend }) => keyedStateTask(backend, () => this.offset)));
    const from = coordinator.restore.checkpointId === 0 ? "empty" : `at record ${offset}`;
    this.log.push(
      `${taskCount} ${taskCount === 1 ? "task" : "tasks"} from ${restore}: starts ${from}`,
    );
    return coordinator;
  }

  async #open(task: number, taskCount: number, storage: string, restore: RestoreHandles) {
    const backend = await openKeyedStateBackend({
      workingDirectory: join(this.root, `work-${storage}-${task}`),
      checkpointStorage: fileSystemStorage(join(this.root, storage)),
      keyGroups: {
        max: GROUPS,
        first: Math.floor((task * GROUPS) / taskCount),
        last: Math.floor(((task + 1) * GROUPS) / taskCount) - 1,
      },
      memoryBudgetBytes: 16 * MIB,
      restore,
    });
    return { backend, total: backend.valueState({ name: "total", value: this.#value }) };
  }

  /** Record `n` adds `n` to key `n mod KEYS`. */
  process(until: number): void {
    for (; this.offset < until; this.offset++) {
      const key = `key-${this.offset % KEYS}`;
      const group = groupOf(key, GROUPS);
      const { backend, total } = this.tasks.find(({ backend: { keyGroups } }) => {
        return group >= keyGroups.first && group <= keyGroups.last;
      })!;
      backend.withKey(key, () => total.update(this.#add(total.value(), this.offset)));
    }
  }

  /** Whether every key holds what all records up to now add up to, and nothing else is there. */
  async check(sumOf: (value: T) => number, who = ""): Promise<void> {
    const expected = new Map<string, number>();
    for (let record = 0; record < this.offset; record++) {
      const key = `key-${record % KEYS}`;
      expected.set(key, (expected.get(key) ?? 0) + record);
    }
    let keys = 0;
    for (const { backend, total } of this.tasks) {
      for await (const key of total.keys()) {
        const value = backend.withKey(key, () => total.value());
        assert.equal(sumOf(value!), expected.get(key as string), String(key));
        keys++;
      }
    }
    assert.equal(keys, expected.size);
    this.log.push(`  ${who}${this.offset} records, ${keys} keys: all right`);
  }

  async stop(): Promise<void> {
    for (const { backend } of this.tasks.splice(0)) await backend.close();
  }
}

async function operate(root: string): Promise<string[]> {
  const log: string[] = [];
  const saved = (
    target: string,
    { checkpointId, rowCount }: { checkpointId: number; rowCount: number },
  ) => log.push(`  checkpoint ${checkpointId} saved to ${target}: ${rowCount} rows`);
  const one = () => new Job<number>(root, log, f64, (before = 0, amount) => before + amount);

  log.push("$ start, and stop with a savepoint");
  let job = one();
  let coordinator = await job.start(2, "checkpoints", "latest-or-new");
  job.process(1000);
  await coordinator.trigger();
  job.process(2000);
  await coordinator.trigger(); // Holds all records: stopped with it, the job has lost nothing.
  await job.check((sum) => sum);
  await coordinator.close();
  await job.stop();
  const source = join(root, "checkpoints");
  saved("saves/v1", await convertCheckpoint({ source, target: join(root, "saves/v1") }));

  for (const [taskCount, until] of [
    [3, 3000],
    [1, 4000],
  ] as const) {
    log.push(`$ rescale to ${taskCount}`);
    job = one();
    coordinator = await job.start(taskCount, "checkpoints", "latest");
    await job.check((sum) => sum);
    job.process(until);
    await coordinator.trigger();
    await coordinator.close();
    await job.stop();
  }

  log.push("$ upgrade: version 2 counts records besides");
  const target = join(root, "saves/v2");
  saved(
    "saves/v2",
    await convertCheckpoint({
      source,
      target,
      states: { total: { to: { value: json<Total>() }, map: (sum) => ({ sum, added: 0 }) } },
    }),
  );
  const two = () =>
    new Job<Total>(root, log, json<Total>(), (before, amount) => ({
      sum: (before?.sum ?? 0) + amount,
      added: (before?.added ?? 0) + 1,
    }));
  const upgraded = two();
  const next = await upgraded.start(2, "checkpoints-v2", "saves/v2");
  upgraded.process(5000);
  await next.trigger();
  await upgraded.check(({ sum }) => sum);

  log.push("$ branch: what if, while version 2 goes on");
  const branch = two();
  const other = await branch.start(1, "what-if", "checkpoints-v2");
  branch.process(9000);
  await other.trigger();
  await branch.check(({ sum }) => sum, "branch: ");
  await other.close();
  await branch.stop();
  upgraded.process(6000);
  await upgraded.check(({ sum }) => sum, "version 2: ");
  await next.trigger();
  await next.close();
  await upgraded.stop();

  log.push("$ resume");
  const resumed = two();
  const last = await resumed.start(2, "checkpoints-v2", "latest");
  await resumed.check(({ sum }) => sum);
  await last.close();
  await resumed.stop();
  log.push("$ back to version 1, from its savepoint");
  job = one();
  coordinator = await job.start(2, "checkpoints-back", "saves/v1");
  await job.check((sum) => sum);
  await coordinator.close();
  await job.stop();
  return log;
}

describe("docs/operations.md", () => {
  test("its transcript is what the job prints", async () => {
    const log = await operate(temporaryDirectory());
    const page = readFileSync("docs/operations.md", "utf8");
    const [, transcript] = /<!-- transcript -->\n+```\n([^`]+)```/.exec(page) ?? [];
    assert.equal(`${log.join("\n")}\n`, transcript);
  });
});
