// Goal: with policy "changelog" a completed checkpoint is exactly the state at its cut, whatever failed,
// was given up or ran at the same time before and after; and nothing that a retained checkpoint names is
// ever deleted, and nothing else stays.
// Method: fast-check makes up actions: work, checkpoints that overlap, are aborted at some turn or meet a
// disk that refuses appends; restarts into any policy. Segments and materializations are tiny.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { MIB, fileSystemStorage } from "../../src/index.ts";
import type { CheckpointPolicy, KeyedStateBackendOptions } from "../../src/index.ts";
import { type FailingCall, failingFiles } from "../support/failing-files.ts";
import { isLong } from "../support/long-tests.ts";
import { auditStorage } from "../support/storage-audit.ts";
import { quickDirectory } from "../support/subjects.ts";
import { Run } from "./backend-run.ts";

const kinds = [
  "work",
  "work",
  "fill",
  "fill",
  "cut",
  "cut",
  "cut",
  "abort",
  "abort",
  "slow",
  "slow",
  "fail",
  "turns",
  "turns",
  "settle",
  "restart",
];
type Action = readonly [kind: string, seed: number];
const actionLists: fc.Arbitrary<Action[]> = fc.array(
  fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 0, max: 2 ** 31 })),
  { minLength: 15, maxLength: 50 },
);

const calls: readonly FailingCall[] = ["create", "write", "sync"];
const policies: readonly CheckpointPolicy[] = ["changelog", "changelog", "incremental", "full"];
/** What a failed disk, an abort and what they take along may look like. */
const allowed = new Set([undefined, "storage", "AbortError", "shutdown", "superseded"]);

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

class ChangelogRun {
  readonly #run: Run;
  readonly #files = failingFiles();
  readonly #root = quickDirectory("varve-changelog-");
  readonly #storageOf: () => ReturnType<typeof fileSystemStorage>;

  constructor(withThread: boolean) {
    const environment = withThread ? undefined : this.#files.environment;
    const checkpoints = join(this.#root, "checkpoints");
    this.#storageOf = () => fileSystemStorage(checkpoints, {}, environment);
    this.#run = new Run({
      environment,
      memoryBudgetBytes: 16 * MIB,
      retainedCheckpoints: 1,
      workingDirectory: join(this.#root, "work"),
      checkpointStorage: this.#storageOf(),
      restore: "latest-or-new",
      lsm: { writeBufferBytes: 262_144, fileSizeBytes: MIB },
      ...optionsOf("changelog"),
    });
  }

  async play(actions: readonly Action[]): Promise<void> {
    try {
      await this.#run.start();
      for (const action of actions) await this.#do(action);
      await this.#settle();
      this.#run.check();
      await this.#restart("changelog");
      await this.#settle();
      await this.#run.do(["checkpoint", 0], 0);
      await this.#run.stop();
      const audit = await auditStorage(this.#storageOf());
      assert.deepEqual([audit.missing, audit.unreadable, audit.unreferenced], [[], [], []]);
    } finally {
      await this.#run.stop();
      rmSync(this.#root, { recursive: true, force: true });
    }
  }

  async #do([kind, seed]: Action): Promise<void> {
    const next = seededRandom(seed);
    const random = (below: number): number => Math.floor(next() * below);
    switch (kind) {
      case "work":
      case "fill":
        return this.#run.do([kind, seed], 500);
      case "cut":
        return this.#run.attempt();
      case "abort": {
        const stop = new AbortController();
        this.#run.attempt(stop.signal);
        if (random(2) === 0) {
          await turns(random(40));
          return stop.abort();
        }
        setTimeout(() => stop.abort(), random(25)); // While others are under way.
        return undefined;
      }
      case "slow":
        return this.#files.slow(random(12));
      case "fail":
        return this.#files.arm(
          calls[random(calls.length)]!,
          random(2) ? "EIO" : "ENOSPC",
          random(4),
        );
      case "turns":
        return turns(random(60));
      case "settle":
        return this.#settle();
      default:
        return this.#restart(policies[random(policies.length)]!);
    }
  }

  async #settle(): Promise<void> {
    for (const outcome of await this.#run.attempts()) assert.ok(allowed.has(outcome), outcome);
  }

  async #restart(policy: CheckpointPolicy): Promise<void> {
    for (const call of calls) this.#files.arm(call, "EIO", 0);
    this.#files.slow(0);
    await this.#run.stop();
    await this.#settle();
    this.#run.use(optionsOf(policy));
    await this.#run.start();
  }
}

function optionsOf(policy: CheckpointPolicy): Partial<KeyedStateBackendOptions> {
  if (policy !== "changelog") return { policy, changelog: undefined };
  const changelog = { segmentBytes: 65_536, materializationLogBytes: 65_536 };
  return { policy, changelog };
}

const seed = Number(process.env["VARVE_SEED"] ?? 20_261_124);
const numRuns = Number(process.env["VARVE_RUNS"] ?? (isLong ? 30 : 3));

describe("policy changelog", () => {
  for (const withThread of [true, false]) {
    const name = withThread ? "with its thread" : "on a disk that fails";
    test(`${name}: checkpoints are the state at their cuts`, { timeout: 600_000 }, async () => {
      const property = fc.asyncProperty(actionLists, (actions) =>
        new ChangelogRun(withThread).play(actions),
      );
      await fc.assert(property, { seed, numRuns, endOnFailure: true });
    });
  }
});
