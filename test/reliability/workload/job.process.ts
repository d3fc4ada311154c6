// A job with state of every kind and exactly-once output, which its parent kills: restores, compares
// everything with its model, says so, and goes on, with a checkpoint after the other.
import { writevSync } from "node:fs";
import { join } from "node:path";
import { TransactionalFileSink } from "../../../examples/flights/transactional-file-sink.ts";
import type { SinkMetadata } from "../../../examples/flights/transactional-file-sink.ts";
import {
  type CheckpointPolicy,
  KIB,
  type KeyedStateBackendOptions,
  MIB,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../../src/index.ts";
import { wholeObjects } from "../../support/other-storages.ts";
import { JobStates, modelOf } from "./model.ts";
import { checkOutput } from "./output.ts";

export interface JobStart {
  readonly root: string;
  readonly seed: number;
  readonly backend: "lsm" | "memory";
  readonly policy: CheckpointPolicy;
  readonly localRecovery: boolean;
  readonly restoreVerification: "before" | "behind";
  /** Ends in order after so many checkpoints. */
  readonly checkpoints: number;
}

/** What a checkpoint carries. */
type JobMetadata = {
  readonly offset: number;
  readonly sink: SinkMetadata;
};

const RECORDS_MIN = 20;
const RECORDS_MORE = 60;

/** By a system call that nothing else makes, so that a failure of `write` is not that of its words. */
function say(word: string, value: number | string = ""): void {
  writevSync(1, [Buffer.from(`${word} `), Buffer.from(`${value}\n`)]);
}

function optionsOf(start: JobStart): KeyedStateBackendOptions {
  const { root, backend, policy, localRecovery, restoreVerification } = start;
  const storage = fileSystemStorage(join(root, "checkpoints"));
  // In every second job each checkpoint is an object, and there are few bases: objects are put together.
  const isOfObjects = start.seed % 2 === 0;
  const changelog = {
    segmentBytes: 64 * KIB,
    segmentsToMerge: 2,
    earlyAppendBytes: 512 * KIB,
    materializationLogBytes: 64 * KIB,
    materializationIntervalMs: isOfObjects ? 5000 : 100,
  };
  return {
    workingDirectory: join(root, "work"),
    checkpointStorage: isOfObjects ? wholeObjects(storage) : storage,
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    backend,
    localRecovery,
    policy,
    restoreVerification,
    ...(policy === "changelog" ? { changelog } : {}),
  };
}

function checkCommitted(committed: number): void {
  const { faults } = checkOutput(output, seed, committed, offset);
  for (const [kind, what] of faults) say("fault", `${kind} ${what}`);
}

const start = JSON.parse(process.argv[2] ?? "") as JobStart;
const { seed } = start;
say("opening");
const backend = await openKeyedStateBackend(optionsOf(start));
const states = new JobStates(backend);
const metadata = backend.restored?.metadata as JobMetadata | undefined;
let offset = metadata?.offset ?? 0;
await states.check(modelOf(seed, offset));
const output = join(start.root, "output");
checkCommitted(0); // No reader has seen what the restored checkpoint does not hold.
const sink = await TransactionalFileSink.open(output, metadata?.sink);
checkCommitted(offset);
say("restored", offset);
for (let taken = 0; taken < start.checkpoints; taken++) {
  const count = RECORDS_MIN + ((Math.imul(offset + 1, 0x9e3779b1) >>> 16) % RECORDS_MORE);
  for (let left = count; left > 0; left--) {
    if (backend.needsDrain) await backend.drained();
    const { key, total } = states.perform(seed, offset);
    sink.write(offset++, key, total);
  }
  const cut = offset;
  const pending = await sink.cut();
  const metadataOfCut: JobMetadata = { offset: cut, sink: pending };
  const checkpoint = backend.checkpoint(metadataOfCut);
  // As in a job, records go on while it is written.
  for (let left = 10; left > 0; left--) {
    const { key, total } = states.perform(seed, offset);
    sink.write(offset++, key, total);
  }
  await checkpoint;
  say("completed", cut);
  await sink.commit(pending);
  say("committed", cut);
}
await sink.cut();
await states.check(modelOf(seed, offset));
await backend.close();
await sink.close();
say("done", offset);
