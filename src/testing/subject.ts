// What the conformance suite needs to know of a backend, and of the test runner it runs under.
import type { KeyGroupRange, KeyedStateBackend } from "../index.ts";

/**
 * Where a job starts from, as the option `restore` of `openKeyedStateBackend`: `"latest"`,
 * `"latest-or-new"`, the id of a checkpoint, or a path that `savepointPath` gave.
 */
export type SuiteRestore = string | number;

export interface SubjectOpenOptions {
  /**
   * Name of the job, `[a-z0-9-]+`. Jobs of different names share nothing; backends opened one after
   * the other under one name find the checkpoints of those before.
   */
  readonly job: string;
  readonly restore: SuiteRestore;
  /** All of 128 if left out. */
  readonly keyGroups?: KeyGroupRange | undefined;
  /** Restored states that may stay undeclared: as the option of `openKeyedStateBackend`. */
  readonly allowNonRestoredState?: readonly string[] | undefined;
}

/** What a backend can do beyond the contract. Tests of what it cannot are skipped by name. */
export interface SubjectFeatures {
  /** A backend may own a part of the key groups. */
  readonly keyGroupRanges: boolean;
  /** `restore` takes the id of any checkpoint that is retained; the newest two are. */
  readonly restoreById: boolean;
  /** The lower half: `snapshot` and the notifications. */
  readonly snapshots: boolean;
  /** Holds some 30 MiB of rows. */
  readonly bulk: boolean;
}

/** A backend to be tested: this package's, or your own. */
export interface KeyedStateSubject {
  readonly name: string;
  readonly supports: SubjectFeatures;
  /** Opens a backend. The suite closes it, before it opens the same job again. */
  open(options: SubjectOpenOptions): Promise<KeyedStateBackend>;
  /**
   * Path of a savepoint of the job, where nothing is yet; another job is opened with it as `restore`.
   * `discard` removes it with the job. Without it tests of savepoints are skipped by name.
   */
  savepointPath?(job: string, name: string): string;
  /** Removes what a job has stored. Called once its backends are closed. */
  discard?(job: string): Promise<void>;
}

/** What `vitest` and `node:test` both give to a test. */
export interface SuiteTestContext {
  skip(reason: string): void;
}

/** The part of a test runner that the suite uses: `{ describe, test }` of `node:test` or `vitest`. */
export interface SuiteRunner {
  readonly describe: (name: string, define: () => void) => unknown;
  readonly test: (name: string, run: (context: SuiteTestContext) => Promise<void>) => unknown;
}
