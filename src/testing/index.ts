// `varve/testing`: the contract of a keyed state backend as tests, and environments to run backends
// in. Imports no test runner. Page: docs/testing.md.
import { defineCheckpointSuite } from "./checkpoint-suite.ts";
import { defineEnumerationSuite } from "./enumeration-suite.ts";
import { defineIterationSuite } from "./iteration-suite.ts";
import { Suite } from "./job.ts";
import { defineKeySuite } from "./key-suite.ts";
import { defineLifecycleSuite } from "./lifecycle-suite.ts";
import { defineListSuite } from "./list-suite.ts";
import { defineMapSuite } from "./map-suite.ts";
import { defineSavepointSuite } from "./savepoint-suite.ts";
import { defineSerializerSuite } from "./serializer-suite.ts";
import type { KeyedStateSubject, SuiteRunner } from "./subject.ts";
import { defineValueSuite } from "./value-suite.ts";

export { memoryEnvironment } from "../environment/memory-environment.ts";
export type {
  MemoryEnvironment,
  MemoryEnvironmentOptions,
} from "../environment/memory-environment.ts";
export { MemoryFileSystem } from "../environment/memory-file-system.ts";
export type {
  CrashMode,
  FileOperation,
  MemoryFileSystemOptions,
  OperationHook,
} from "../environment/memory-file-system.ts";
export { nodeEnvironment } from "../environment/node-environment.ts";
export type {
  KeyedStateSubject,
  SubjectFeatures,
  SubjectOpenOptions,
  SuiteRestore,
  SuiteRunner,
  SuiteTestContext,
} from "./subject.ts";

/**
 * Defines the tests that every keyed state backend must pass, with the `describe` and `test` of
 * `node:test` or `vitest`. Tests of features that the subject lacks are skipped by name.
 */
export function defineKeyedStateSuite(runner: SuiteRunner, subject: KeyedStateSubject): void {
  const suite = new Suite(subject, runner, { count: 0 });
  suite.describe(`${subject.name}: keyed state`, () => {
    defineKeySuite(suite);
    defineEnumerationSuite(suite);
    defineValueSuite(suite);
    defineListSuite(suite);
    defineMapSuite(suite);
    defineIterationSuite(suite);
    defineSerializerSuite(suite);
    defineCheckpointSuite(suite);
    defineSavepointSuite(suite);
    defineLifecycleSuite(suite);
  });
}
