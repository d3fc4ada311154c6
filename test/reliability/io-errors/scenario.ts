// The life of a job whose disk fails somewhere: checkpoints, one of them given up, a savepoint, restores,
// deletions. Whatever the disk does, what was said to be done is done.
import { join } from "node:path";
import {
  KIB,
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  MIB,
  StateBackendError,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../../src/index.ts";
import type { CheckpointPolicy, Environment } from "../../../src/index.ts";
import type { Tally } from "../part.ts";
import { JobStates, modelOf } from "../workload/model.ts";

export interface Subject {
  readonly name: string;
  readonly backend: "lsm" | "memory";
  readonly policy: CheckpointPolicy;
}

export const subjects: readonly Subject[] = [
  { name: "memory", backend: "memory", policy: "full" },
  { name: "lsm-full", backend: "lsm", policy: "full" },
  { name: "lsm-incremental", backend: "lsm", policy: "incremental" },
  { name: "lsm-changelog", backend: "lsm", policy: "changelog" },
];

const SEED = 11;
/** A job with large texts: some of what a checkpoint changes is appended, and synced, before it. */
const CHANGELOG_SEED = 13;
const RECORDS = 25;
const ATTEMPTS_MAX = 3;

export class Scenario {
  readonly #subject: Subject;
  readonly #seed: number;
  readonly #environment: Environment;
  readonly #root: string;
  readonly #tally: Tally;
  #backend: KeyedStateBackend | undefined;
  #states: JobStates | undefined;
  #offset = 0;
  /** Highest offset that a checkpoint acknowledged. */
  acknowledged = 0;
  /** Of savepoints that were acknowledged: their offsets by directory. */
  readonly savepoints: Map<string, number> = new Map();
  /** Errors that were told, by code. */
  readonly told: string[] = [];

  constructor(subject: Subject, environment: Environment, root: string, tally: Tally) {
    this.#subject = subject;
    this.#seed = subject.policy === "changelog" ? CHANGELOG_SEED : SEED;
    this.#environment = environment;
    this.#root = root;
    this.#tally = tally;
  }

  #options(restore: KeyedStateBackendOptions["restore"], work: string): KeyedStateBackendOptions {
    const { backend, policy } = this.#subject;
    const changelog = { segmentBytes: 64 * KIB, materializationLogBytes: 64 * KIB };
    return {
      backend,
      policy,
      workingDirectory: join(this.#root, work),
      checkpointStorage: fileSystemStorage(join(this.#root, "checkpoints"), {}, this.#environment),
      restore,
      memoryBudgetBytes: 16 * MIB,
      retainedCheckpoints: 1,
      environment: this.#environment,
      ...(policy === "changelog" ? { changelog } : {}),
    };
  }

  async run(): Promise<void> {
    for (const lap of [1, 2]) {
      for (let round = 0; round < 3; round++) await this.#step(() => this.#checkpoint());
      await this.#step(() => this.#giveUp());
      await this.#step(() => this.#savepoint(`save-${lap}`));
      await this.#step(() => this.#checkpoint());
      await this.#close();
    }
  }

  /** Once more, with a disk that is well again: everything must succeed. */
  async recover(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      const backend = await this.#opened();
      this.#work(backend);
      await this.#checkpoint();
    }
    await this.#close();
  }

  /** What a new owner finds is what was acknowledged, or newer. */
  async verify(environment: Environment, what: string): Promise<void> {
    const options = this.#options("latest-or-new", "work-verify");
    const path = join(this.#root, "checkpoints");
    const checkpointStorage = fileSystemStorage(path, {}, environment);
    const backend = await openKeyedStateBackend({ ...options, environment, checkpointStorage });
    const offset = offsetOf(backend);
    if (offset < this.acknowledged) {
      this.#tally.fail("lost", `${offset} after ${this.acknowledged}, ${what}`);
    }
    await this.#compare(backend, offset, what);
    await backend.close();
    for (const [directory, saved] of this.savepoints) {
      const other = fileSystemStorage(join(this.#root, "other"), {}, environment);
      const work = { workingDirectory: join(this.#root, "work-saved"), environment };
      const again = await openKeyedStateBackend({
        ...options,
        ...work,
        checkpointStorage: other,
        restore: directory,
      });
      await this.#compare(again, saved, `${directory}, ${what}`);
      await again.close();
    }
  }

  async #compare(backend: KeyedStateBackend, offset: number, what: string): Promise<void> {
    try {
      await new JobStates(backend).check(modelOf(this.#seed, offset));
    } catch (error) {
      this.#tally.fail("wrong", `${what}: ${String(error)}`);
    }
  }

  /** A step may fail, with an error of this library; then it is tried again, as a job would. */
  async #step(work: () => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      try {
        const backend = await this.#opened();
        this.#work(backend);
        await work();
        return;
      } catch (error) {
        this.#tell(error);
        // A backend that is poisoned, fenced or closed is of no use any more.
        if (this.#backend?.signal.aborted === true) await this.#close();
      }
    }
  }

  #work(backend: KeyedStateBackend): void {
    for (let left = RECORDS; left > 0 && !backend.signal.aborted; left--) {
      this.#states!.perform(this.#seed, this.#offset++);
    }
  }

  async #opened(): Promise<KeyedStateBackend> {
    if (this.#backend !== undefined) return this.#backend;
    const backend = await openKeyedStateBackend(this.#options("latest-or-new", "work"));
    this.#offset = offsetOf(backend);
    if (this.#offset < this.acknowledged) {
      this.#tally.fail("lost", `restored ${this.#offset} after ${this.acknowledged}`);
    }
    this.acknowledged = this.#offset; // Found: so it was complete, whether told or not.
    this.#backend = backend;
    this.#states = new JobStates(backend);
    await this.#states.check(modelOf(this.#seed, this.#offset));
    return backend;
  }

  async #checkpoint(): Promise<void> {
    const offset = this.#offset;
    await this.#backend!.checkpoint({ offset });
    this.acknowledged = offset;
    await this.#states!.check(modelOf(this.#seed, this.#offset));
  }

  async #giveUp(): Promise<void> {
    const offset = this.#offset;
    const given = new AbortController();
    const checkpoint = this.#backend!.checkpoint({ offset }, { signal: given.signal });
    given.abort();
    await checkpoint.then(
      () => (this.acknowledged = offset),
      (error: unknown) => {
        if ((error as Error).name !== "AbortError") throw error;
      },
    );
  }

  async #savepoint(name: string): Promise<void> {
    const directory = join(this.#root, `${name}-${this.told.length}`);
    const offset = this.#offset;
    await this.#backend!.savepoint(directory);
    this.savepoints.set(directory, offset);
  }

  async #close(): Promise<void> {
    const backend = this.#backend;
    this.#backend = undefined;
    try {
      await backend?.close();
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell(error: unknown): void {
    this.told.push(String((error as { code?: string }).code));
    if (isTyped(error)) return;
    this.#tally.fail("untyped", error instanceof Error ? (error.stack ?? "") : String(error));
  }
}

/** What failed in several places at once is told as one error of all of them. */
function isTyped(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isTyped);
  return error instanceof StateBackendError && error.code !== "VARVE_INVARIANT";
}

function offsetOf(backend: KeyedStateBackend): number {
  return (backend.restored?.metadata as { offset?: number } | undefined)?.offset ?? 0;
}
