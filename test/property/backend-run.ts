// A backend driven by a list of actions, beside its model and the models of its checkpoints.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type { Key, KeyedStateBackend, KeyedStateBackendOptions } from "../../src/index.ts";
import { namesOf } from "../../src/testing/expect.ts";
import { quickDirectory } from "../support/subjects.ts";
import { Model, declareStates, modelKeys } from "./model.ts";

export type Action = readonly [kind: (typeof kinds)[number], seed: number];
export const kinds = [
  "work",
  "work",
  "fill",
  "checkpoint",
  "cut",
  "prefetch",
  "restart",
  "keys",
] as const;

export const actionLists: fc.Arbitrary<Action[]> = fc.array(
  fc.tuple(fc.constantFrom(...kinds), fc.integer({ min: 0, max: 2 ** 31 })),
  { minLength: 20, maxLength: 40 },
);

/** The backend under test, its model, and the models of checkpoints that may have completed. */
export class Run {
  #options: KeyedStateBackendOptions;
  #backend: KeyedStateBackend | undefined;
  #model = new Model();
  #cuts: Model[] = [];
  /** What became of calls that were not awaited: why they failed, or undefined. */
  #running: Promise<string | undefined>[] = [];
  #attempts: Promise<string | undefined>[] = [];

  constructor(options: KeyedStateBackendOptions) {
    this.#options = options;
  }

  /** For the next start. */
  use(options: Partial<KeyedStateBackendOptions>): void {
    this.#options = { ...this.#options, ...options };
  }

  get backend(): KeyedStateBackend {
    return this.#backend!;
  }

  /** A checkpoint that may fail for one of these reasons; nobody waits. */
  attempt(signal?: AbortSignal): void {
    this.#cuts.push(this.#model.copy());
    const call = this.#backend!.checkpoint(this.#cuts.length - 1, { signal });
    this.#attempts.push(outcomeOf(call));
  }

  /** What became of the attempts so far, which have all ended. */
  async attempts(): Promise<readonly (string | undefined)[]> {
    const outcomes = await Promise.all(this.#attempts);
    this.#attempts = [];
    return outcomes;
  }

  async start(): Promise<void> {
    this.#backend = await openKeyedStateBackend(this.#options);
    const cut = this.#backend.restored?.metadata;
    this.#model = typeof cut === "number" ? this.#cuts[cut]!.copy() : new Model();
    this.#model.check(this.#backend, declareStates(this.#backend));
  }

  async stop(): Promise<void> {
    await this.#backend?.close();
    for (const code of await Promise.all(this.#running)) {
      assert.ok(code === undefined || code === "shutdown" || code === "VARVE_CLOSED", code);
    }
    this.#running = [];
  }

  async do([kind, seed]: Action, fillRows: number): Promise<void> {
    const backend = this.#backend!;
    const states = declareStates(backend);
    const next = seededRandom(seed);
    const random = (below: number): number => Math.floor(next() * below);
    switch (kind) {
      case "work":
        for (let step = random(300); step > 0; step--) this.#model.step(backend, states, random);
        return;
      case "fill":
        for (let row = random(fillRows); row > 0; row--) {
          if (backend.needsDrain) await backend.drained();
          this.#model.fill(backend, states, 6000);
        }
        return;
      case "checkpoint":
        await this.#checkpoint(backend);
        return;
      case "cut":
        this.#running.push(outcomeOf(this.#checkpoint(backend)));
        return;
      case "prefetch":
        this.#running.push(outcomeOf(backend.prefetch(modelKeys)));
        return;
      case "restart":
        await this.stop();
        await this.start();
        return;
      case "keys":
        await this.#enumerate(backend, random);
        return;
    }
  }

  #checkpoint(backend: KeyedStateBackend): Promise<unknown> {
    this.#cuts.push(this.#model.copy());
    return backend.checkpoint(this.#cuts.length - 1);
  }

  async #enumerate(backend: KeyedStateBackend, random: (below: number) => number): Promise<void> {
    const states = declareStates(backend);
    const expected = this.#model.keysWithList();
    const keys = states.list.keys();
    for (let step = random(50); step > 0; step--) this.#model.step(backend, states, random);
    const found: Key[] = [];
    for await (const key of keys) found.push(key);
    assert.deepEqual(namesOf(found), namesOf(expected));
  }

  check(): void {
    this.#model.check(this.#backend!, declareStates(this.#backend!));
  }
}

/** A whole history on real threads and files, with what it left checked at its end and after a restart. */
export async function runHistory(
  history: readonly Action[],
  options: Partial<KeyedStateBackendOptions>,
  fillRows: number,
): Promise<void> {
  const root = quickDirectory("varve-history-");
  const run = new Run({
    memoryBudgetBytes: 16 * MIB,
    ...options,
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
    restore: "latest-or-new",
  });
  try {
    await run.start();
    for (const action of history) await run.do(action, fillRows);
    run.check();
    await run.do(["checkpoint", 0], fillRows);
    await run.do(["restart", 0], fillRows);
  } finally {
    await run.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

async function outcomeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    const { name, reason, code } = error as Error & { reason?: string; code?: string };
    if (name === "AbortError") return name;
    return reason ?? code ?? String(error);
  }
}
