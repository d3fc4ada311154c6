// A bank as a job of one to three tasks under one coordinator, each with its key groups and its sink. It
// restores with any number of tasks, checks accounts and committed output, and goes on.
import assert from "node:assert/strict";
import { join } from "node:path";
import { TransactionalFileSink } from "../../../examples/flights/transactional-file-sink.ts";
import type { SinkMetadata } from "../../../examples/flights/transactional-file-sink.ts";
import {
  type CheckpointPolicy,
  KIB,
  type KeyedStateBackend,
  MIB,
  type ValueState,
  fileSystemStorage,
  i64,
  keyedStateTask,
  openCheckpointCoordinator,
  openKeyedStateBackend,
  struct,
} from "../../../src/index.ts";
import { rangesOf } from "../../support/task-job.ts";
import {
  ACCOUNTS,
  type Account,
  accountKey,
  changed,
  newAccount,
  replay,
  taskOf,
  transferAt,
} from "./bank.ts";
import { checkCommitted } from "./check-committed.ts";

export interface BankStart {
  readonly root: string;
  readonly seed: number;
  readonly tasks: number;
  /** Of the job before it, whose output this one finds. */
  readonly tasksBefore: number;
  readonly policy: CheckpointPolicy;
  readonly checkpoints: number;
  readonly transfers: number;
  /** Dies between completion and commit of that checkpoint; 0: of none. */
  readonly diesAt: number;
}

type BankMetadata = {
  readonly offset: number;
  readonly sinks: readonly SinkMetadata[];
};

interface Task {
  readonly backend: KeyedStateBackend;
  readonly accounts: ValueState<Account>;
}

const SINKS = 3;
const start = JSON.parse(process.argv[2] ?? "") as BankStart;
const { root, seed, policy } = start;

function say(word: string, value: number | string = ""): void {
  process.stdout.write(`${word} ${value}\n`);
}

say("opening");
const checkpointStorage = fileSystemStorage(join(root, "checkpoints"));
const coordinator = await openCheckpointCoordinator({
  taskCount: start.tasks,
  restore: "latest-or-new",
  checkpointStorage,
  backend: "lsm",
  policy,
  onFailure: (error) => {
    throw error;
  },
});
const metadata = (coordinator.restore.metadata as readonly BankMetadata[] | undefined)?.[0];
let offset = metadata?.offset ?? 0;
let sinkMetadata: readonly SinkMetadata[] = [];
const tasks: Task[] = [];
for (const [index, keyGroups] of rangesOf(start.tasks).entries()) {
  const backend = await openKeyedStateBackend({
    backend: "lsm",
    policy,
    ...(policy === "changelog" ? { changelog: { materializationLogBytes: 64 * KIB } } : {}),
    workingDirectory: join(root, `work-${index}`),
    checkpointStorage,
    keyGroups,
    restore: coordinator.restore,
    memoryBudgetBytes: 16 * MIB,
  });
  const value = struct<Account>({ balance: i64, sequence: i64 });
  tasks.push({ backend, accounts: backend.valueState({ name: "account", value }) });
}
await checkAccounts();
const directories = Array.from({ length: SINKS }, (_none, index) => join(root, `output-${index}`));
tellFaults(0, start.tasksBefore);
const sinks: TransactionalFileSink[] = [];
for (const [index, directory] of directories.entries()) {
  sinks.push(await TransactionalFileSink.open(directory, metadata?.sinks[index]));
}
tellFaults(offset, start.tasksBefore);
const nothing = (): void => undefined;
coordinator.start(
  tasks.map(({ backend }) =>
    keyedStateTask(backend, () => ({ offset, sinks: sinkMetadata }), nothing),
  ),
);
say("restored", offset);
for (let taken = 0; taken < start.checkpoints; taken++) {
  for (let left = start.transfers; left > 0; left--) transfer(offset++);
  sinkMetadata = await Promise.all(sinks.map((sink) => sink.cut()));
  await coordinator.trigger();
  say("completed", offset);
  if (taken + 1 === start.diesAt) process.kill(process.pid, "SIGKILL");
  for (const [index, sink] of sinks.entries()) await sink.commit(sinkMetadata[index]!);
  say("committed", offset);
}
await checkAccounts();
await coordinator.close();
for (const { backend } of tasks) await backend.close();
for (const sink of sinks) await sink.close();
say("done", offset);

function transfer(at: number): void {
  const { from, to, amount } = transferAt(seed, at);
  for (const [side, account, by] of [
    [0, from, -amount],
    [1, to, amount],
  ] as const) {
    const index = taskOf(account, start.tasks);
    const { backend, accounts } = tasks[index]!;
    const key = accountKey(account);
    const { sequence } = backend.withKey(key, () => {
      const next = changed(accounts.value() ?? newAccount, by);
      accounts.update(next);
      return next;
    });
    sinks[index]!.write(at * 2 + side, key, sequence);
  }
}

async function checkAccounts(): Promise<void> {
  const expected = replay(seed, offset);
  let sum = 0;
  for (let account = 0; account < ACCOUNTS; account++) {
    const { backend, accounts } = tasks[taskOf(account, start.tasks)]!;
    const found = backend.withKey(accountKey(account), () => accounts.value()) ?? newAccount;
    assert.deepEqual(found, expected[account], `account ${account} after ${offset}`);
    sum += found.balance;
  }
  assert.equal(sum, 0, `the sum after ${offset}`);
  const keys: string[] = [];
  for (const { accounts } of tasks) for await (const key of accounts.keys()) keys.push(String(key));
  assert.equal(new Set(keys).size, keys.length, "an account is at two tasks");
}

function tellFaults(from: number, tasksBefore: number): void {
  const sinkOf = (account: number): number => taskOf(account, tasksBefore);
  const faults = checkCommitted({ directories, seed, from, to: offset, sinkOf });
  for (const [kind, what] of faults) say("fault", `${kind} ${what}`);
}
