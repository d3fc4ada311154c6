// Goal: the registry of all tasks holds exactly the files that something uses, and names each other
// one discardable, once.
// Method: fast-check; the model keeps every checkpoint's files as plain sets. Attempts overlap, build
// on old bases, share files between tasks, and reuse what a checkpoint between had given back.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, test } from "vitest";
import type { SharedFile } from "../../src/api/keyed-state-backend.ts";
import { SharedStateRegistry } from "../../src/coordinator/shared-state-registry.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import { fileOf } from "../support/shared-files.ts";

const { VARVE_SEED, VARVE_RUNS } = process.env;
const parameters = { seed: Number(VARVE_SEED ?? 1), numRuns: Number(VARVE_RUNS ?? 300) };

interface Checkpoint {
  readonly id: number;
  readonly sets: readonly Set<string>[];
  isRetained: boolean;
}

interface Attempt {
  readonly id: number;
  readonly begunAfter: Checkpoint | undefined;
  /** What it builds on, and so keeps. */
  readonly held: Set<Checkpoint>;
  readonly sets: Set<string>[];
  /** Pinned for it, reused and created by it. */
  readonly own: Set<string>;
  readonly pinned: Set<string>;
  readonly registered: Set<number>;
}

class Model {
  registry = new SharedStateRegistry();
  completed: Checkpoint[] = [];
  attempts: Attempt[] = [];
  deferred: { readonly until: number; readonly files: ReadonlySet<string> }[] = [];
  readonly #tasks: number;
  readonly #random: () => number;
  readonly #discarded = new Set<string>();
  #lastId = 0;
  #nextFile = 1;
  #unconfirmed: SharedFile[] = [];

  constructor(tasks: number, random: () => number) {
    this.#tasks = tasks;
    this.#random = random;
  }

  #choose(count: number): number {
    return Math.floor(this.#random() * count);
  }

  step(): void {
    const kind = this.#choose(13);
    const attempt = this.attempts[this.#choose(this.attempts.length)];
    if (kind < 2) this.#begin();
    else if (kind < 6 && attempt !== undefined) this.#register(attempt);
    else if (kind < 8 && attempt !== undefined) this.#complete(attempt);
    else if (kind === 8 && attempt !== undefined) this.#abort(attempt);
    else if (kind === 9) this.#subsume();
    else if (kind === 10) this.#late();
    else if (kind === 11 && attempt !== undefined) this.#pin(attempt);
    else if (this.#choose(6) === 0) this.#restart();
    this.#check();
  }

  #standing(): Checkpoint[] {
    return this.completed.filter(
      (one) => one.isRetained || this.attempts.some(({ held }) => held.has(one)),
    );
  }

  #begin(): void {
    if (this.attempts.length >= 3) return;
    const id = ++this.#lastId;
    const base = this.completed.at(-1);
    this.registry.begin(id, base?.id);
    const sets = Array.from({ length: this.#tasks }, () => new Set<string>());
    const held = new Set(base === undefined ? [] : [base]);
    this.attempts.push({
      id,
      begunAfter: base,
      held,
      sets,
      own: new Set(),
      pinned: new Set(),
      registered: new Set(),
    });
  }

  #register(attempt: Attempt): void {
    const task = this.#choose(this.#tasks);
    if (attempt.registered.has(task)) return;
    const standing = this.#standing().filter(({ id }) => id >= (attempt.begunAfter?.id ?? 0));
    const base = this.#choose(5) === 0 ? undefined : standing[this.#choose(standing.length)];
    const before = base?.sets[task] ?? new Set<string>();
    const created = Array.from({ length: this.#choose(3) }, () => fileOf(this.#nextFile++));
    const shared = this.#unconfirmed.at(-1); // One file of several tasks, or attempts.
    if (shared !== undefined && this.#choose(3) === 0 && this.#isUnderWay(shared.id)) {
      created.push(shared);
    }
    const confirmed = standing.flatMap(({ sets }) => sets.flatMap((set) => [...set]));
    const anywhere = [...attempt.pinned, ...confirmed];
    const reused = anywhere.filter((id) => !before.has(id) && this.#choose(4) === 0).slice(0, 3);
    const released = [...before].filter(() => this.#choose(2) === 0);
    this.#unconfirmed.push(...created);
    const files = { base: base?.id, created, reused, released };
    assert.equal(this.registry.register(attempt.id, task, files), true);
    attempt.registered.add(task);
    if (base !== undefined) attempt.held.add(base);
    const set = attempt.sets[task]!;
    for (const id of before) if (!released.includes(id)) set.add(id);
    for (const id of [...created.map((file) => file.id), ...reused]) {
      set.add(id);
      attempt.own.add(id);
    }
  }

  #pin(attempt: Attempt): void {
    const files = this.completed.at(-1)?.sets.flatMap((set) => [...set]) ?? [];
    const ids = files.filter(() => this.#choose(3) === 0);
    assert.equal(this.registry.pin(attempt.id, ids), true);
    for (const id of ids) {
      attempt.own.add(id);
      attempt.pinned.add(id);
    }
  }

  #isUnderWay(id: string): boolean {
    return this.attempts.some(({ own }) => own.has(id));
  }

  #complete(attempt: Attempt): void {
    if ((this.completed.at(-1)?.id ?? 0) > attempt.id) {
      this.#abort(attempt);
      return;
    }
    this.registry.complete(attempt.id);
    this.#end(attempt);
    this.completed.push({ id: attempt.id, sets: attempt.sets, isRetained: true });
  }

  #abort(attempt: Attempt): void {
    this.registry.abort(attempt.id);
    this.deferred.push({ until: this.#lastId, files: attempt.own });
    this.#end(attempt);
  }

  #end(attempt: Attempt): void {
    this.attempts = this.attempts.filter((one) => one !== attempt);
  }

  #subsume(): void {
    const older = this.completed.slice(0, -1).filter(({ isRetained }) => isRetained);
    const one = older[this.#choose(older.length)];
    if (one === undefined) return;
    one.isRetained = false;
    this.registry.subsume(one.id);
  }

  #late(): void {
    const created = [fileOf(this.#nextFile++)];
    this.registry.registerLate(this.#lastId, created);
    this.deferred.push({ until: this.#lastId, files: new Set(created.map(({ id }) => id)) });
  }

  /** From metadata alone. What was under way is gone, and its files are no business of the registry. */
  #restart(): void {
    this.completed = this.completed.filter(({ isRetained }) => isRetained);
    this.attempts = [];
    this.deferred = [];
    this.#unconfirmed = [];
    this.registry = new SharedStateRegistry();
    for (const { id, sets } of this.completed) {
      const files = sets.map((set) => [...set].map((one) => fileOf(Number.parseInt(one, 16))));
      this.registry.restore(id, files.entries());
    }
  }

  #check(): void {
    const oldest = this.attempts[0]?.id ?? Infinity;
    this.deferred = this.deferred.filter(({ until }) => until >= oldest);
    const used = new Set<string>();
    for (const { sets } of this.#standing())
      for (const set of sets) for (const id of set) used.add(id);
    for (const { own } of this.attempts) for (const id of own) used.add(id);
    for (const { files } of this.deferred) for (const id of files) used.add(id);
    for (const id of used) assert.ok(this.registry.has(id), `${id} is in use and not registered`);
    assert.equal(this.registry.fileCount, used.size);
    for (const id of this.registry.takeDiscardable()) {
      assert.ok(!used.has(id), `${id} is discarded and in use`);
      assert.ok(!this.#discarded.has(id), `${id} is discarded twice`);
      this.#discarded.add(id);
    }
  }
}

describe("the registry of shared files of all tasks", () => {
  test("holds exactly what standing checkpoints and attempts use", () => {
    const history = fc.record({ tasks: fc.integer({ min: 1, max: 4 }), seed: fc.integer() });
    fc.assert(
      fc.property(history, ({ tasks, seed }) => {
        const model = new Model(tasks, seededRandom(seed));
        for (let step = 0; step < 200; step++) model.step();
      }),
      parameters,
    );
  });
});
