// One test's job: opens its backends one after the other and gives everything back at the end.
import assert from "node:assert/strict";
import type { CompletedCheckpoint, JsonValue, KeyGroupRange, KeyedStateBackend } from "../index.ts";
import type {
  KeyedStateSubject,
  SubjectFeatures,
  SuiteRestore,
  SuiteRunner,
  SuiteTestContext,
} from "./subject.ts";

export class SuiteJob {
  readonly name: string;
  readonly #subject: KeyedStateSubject;
  readonly #open = new Set<KeyedStateBackend>();

  constructor(subject: KeyedStateSubject, name: string) {
    this.#subject = subject;
    this.name = name;
  }

  /** A new backend of this job, empty unless it says otherwise. */
  async open(
    restore: SuiteRestore = "latest-or-new",
    keyGroups?: KeyGroupRange,
    allowNonRestoredState?: readonly string[],
  ): Promise<KeyedStateBackend> {
    const backend = await this.#subject.open({
      job: this.name,
      restore,
      keyGroups,
      allowNonRestoredState,
    });
    this.#open.add(backend);
    return backend;
  }

  async close(backend: KeyedStateBackend): Promise<void> {
    await backend.close();
    this.#open.delete(backend);
  }

  /** Closes the backend, takes no checkpoint, and opens the job from the latest one. */
  async reopen(
    backend: KeyedStateBackend,
    restore: SuiteRestore = "latest",
  ): Promise<KeyedStateBackend> {
    await this.close(backend);
    return this.open(restore);
  }

  /** A checkpoint, then as `reopen`. */
  async checkpointAndReopen(
    backend: KeyedStateBackend,
    metadata?: JsonValue,
  ): Promise<{ readonly backend: KeyedStateBackend; readonly checkpoint: CompletedCheckpoint }> {
    const checkpoint = await backend.checkpoint(metadata);
    return { backend: await this.reopen(backend), checkpoint };
  }

  /** Where a savepoint of this job may be written. */
  savepointPath(name: string): string {
    const path = this.#subject.savepointPath?.(this.name, name);
    assert.ok(path !== undefined, "a test of savepoints of a subject without");
    return path;
  }

  /** Another job, which the caller ends. */
  sibling(): SuiteJob {
    return new SuiteJob(this.#subject, `${this.name}-sibling`);
  }

  async end(): Promise<void> {
    for (const backend of this.#open) await backend.close();
    await this.#subject.discard?.(this.name);
  }
}

/** Defines tests, each with a job of its own. */
export class Suite {
  readonly #subject: KeyedStateSubject;
  readonly #runner: SuiteRunner;
  readonly #counter: { count: number };

  constructor(subject: KeyedStateSubject, runner: SuiteRunner, counter: { count: number }) {
    this.#subject = subject;
    this.#runner = runner;
    this.#counter = counter;
  }

  describe(name: string, define: () => void): void {
    void this.#runner.describe(name, define);
  }

  test(name: string, run: (job: SuiteJob) => Promise<void>): void {
    void this.#runner.test(name, () => this.#run(run));
  }

  /** A test of something optional: skipped, visibly, where the subject lacks it. */
  optional(
    feature: keyof SubjectFeatures,
    name: string,
    run: (job: SuiteJob) => Promise<void>,
  ): void {
    void this.#runner.test(name, async (context: SuiteTestContext) => {
      if (!this.#subject.supports[feature]) {
        context.skip(`${this.#subject.name} does not support ${feature}`);
        return;
      }
      await this.#run(run);
    });
  }

  /** As `optional`, for subjects that say where savepoints go. */
  savepoints(name: string, run: (job: SuiteJob) => Promise<void>): void {
    void this.#runner.test(name, async (context: SuiteTestContext) => {
      if (this.#subject.savepointPath === undefined) {
        context.skip(`${this.#subject.name} does not support savepoints`);
        return;
      }
      await this.#run(run);
    });
  }

  async #run(run: (job: SuiteJob) => Promise<void>): Promise<void> {
    const job = new SuiteJob(this.#subject, `job-${++this.#counter.count}`);
    try {
      await run(job);
    } finally {
      await job.end();
    }
  }
}
