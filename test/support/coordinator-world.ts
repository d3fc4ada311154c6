// A job around the coordinator: tasks that upload files, a storage, owners that die, pause and come
// back. Whatever is deleted is checked against all that is referenced. Everything is synchronous;
// `choose(n)` decides what the tasks do, so that a history can be repeated.
import assert from "node:assert/strict";
import type { SharedFile } from "../../src/api/keyed-state-backend.ts";
import { newCoordinator, retainedOf } from "../../src/coordinator/coordinator-state.ts";
import type { CoordinatorState } from "../../src/coordinator/coordinator-state.ts";
import { advance } from "../../src/coordinator/coordinator.ts";
import type {
  CoordinatorAction,
  CoordinatorEvent,
  TaskAcknowledged,
  WriteMetadata,
} from "../../src/coordinator/events.ts";
import { resolveCoordinatorOptions } from "../../src/coordinator/options.ts";
import type { CoordinatorOptions } from "../../src/coordinator/options.ts";
import { fileOf } from "./shared-files.ts";

export interface Metadata {
  readonly checkpointId: number;
  readonly epoch: string;
  readonly oldestRetained: number;
  /** By task. */
  readonly files: readonly ReadonlySet<string>[];
}

export class Storage {
  readonly files: Set<string> = new Set();
  readonly metadata: Map<number, Metadata> = new Map();
  hint = 0;
  /** Requests whose fate their owner does not know: they may still arrive. */
  limbo: { readonly number: number; readonly metadata: Metadata }[] = [];
  #lastCompletedId = 0;
  #nextFile = 1;

  upload(): SharedFile {
    const file = fileOf(this.#nextFile++);
    this.files.add(file.id);
    return file;
  }

  create(number: number, metadata: Metadata): "created" | "exists" {
    if (this.metadata.has(number)) return "exists";
    this.metadata.set(number, metadata);
    if (number <= this.hint) return "created"; // Its creator will find that it is fenced.
    for (const set of metadata.files) {
      for (const id of set) assert.ok(this.files.has(id), `metadata ${number} without ${id}`);
    }
    assert.ok(
      metadata.checkpointId > this.#lastCompletedId,
      "ids of completed checkpoints increase",
    );
    this.#lastCompletedId = metadata.checkpointId;
    return "created";
  }

  newest(): number {
    return Math.max(0, ...this.metadata.keys());
  }

  referenced(): Set<string> {
    return new Set(
      [...this.metadata.values()].flatMap(({ files }) => files.flatMap((f) => [...f])),
    );
  }
}

export interface WorldOptions extends CoordinatorOptions {
  readonly taskCount: number;
}

/** What changed in the tasks since their last snapshot, if a history says so. */
export interface Changes {
  isWritten: boolean;
  isCompacted: boolean;
}

export class World {
  readonly storage: Storage = new Storage();
  readonly pins: Set<number> = new Set();
  options: WorldOptions;
  /** Undefined: `choose` decides what a snapshot changes. */
  changes: Changes | undefined = undefined;
  readonly choose: (count: number) => number;
  owner: Owner;
  zombies: Owner[] = [];
  nowMs = 0;
  #owners = 0;

  constructor(options: WorldOptions, choose: (count: number) => number) {
    this.options = options;
    this.choose = choose;
    this.owner = this.#open(true);
  }

  /** The owner dies, or only pauses, and another one takes over. */
  restart(isKilled: boolean, isClaimed: boolean = true): void {
    if (!isKilled) this.zombies.push(this.owner);
    this.owner = this.#open(isClaimed);
  }

  /** The job ends, and goes on with another number of tasks. */
  rescale(taskCount: number): void {
    this.options = { ...this.options, taskCount };
    this.restart(true);
  }

  #open(isClaimed: boolean): Owner {
    return new Owner(this, `epoch-${++this.#owners}`, isClaimed);
  }

  /** All that is under way ends well, and two more checkpoints complete. */
  quiesce(): void {
    for (const zombie of this.zombies) zombie.settle();
    this.owner.settle();
    for (let completed = 0; completed < 2; completed++) {
      this.owner.event({ type: "trigger-requested", requestId: 0, isFull: false });
      this.owner.settle();
      if (this.owner.state.phase !== "fenced") continue;
      this.restart(true);
      completed = -1;
    }
  }

  /** Nothing is missing, and nothing is left over. */
  check(): void {
    const { metadata, files } = this.storage;
    const retained = retainedOf(this.owner.state).map((one) => one.completionNumber);
    assert.deepEqual(
      [...metadata.keys()].toSorted((a, b) => a - b),
      retained,
    );
    assert.deepEqual([...files].toSorted(), [...this.storage.referenced()].toSorted());
    assert.equal(this.owner.state.registry.fileCount, files.size);
  }
}

/** One run of the job: a coordinator and its tasks. */
export class Owner {
  readonly state: CoordinatorState;
  readonly #world: World;
  readonly #epoch: string;
  /** What each task uses, by checkpoint id. */
  readonly #sets: Map<number, Set<string>>[];
  readonly open: Set<number> = new Set();
  acknowledgements: TaskAcknowledged[] = [];
  write: WriteMetadata | undefined;
  #discard: Extract<CoordinatorAction, { type: "discard" }> | undefined;
  #leftovers: { readonly files: readonly string[]; readonly metadata: readonly number[] };
  readonly #userOwned: ReadonlySet<number>;
  /** Id of the restored checkpoint if it was one of another number of tasks. */
  readonly #regrouped: number | undefined;
  #lastTriggered = 0;

  constructor(world: World, epoch: string, isClaimed: boolean) {
    this.#world = world;
    this.#epoch = epoch;
    const { storage, options, pins } = world;
    const { taskCount, ...rest } = options;
    const newest = storage.newest();
    const oldest = storage.metadata.get(newest)?.oldestRetained ?? 0;
    const numbers = [...storage.metadata.keys()].toSorted((a, b) => a - b);
    // Pins are kept elsewhere: metadata that was being written while one was set does not know of it.
    const isRetained = (number: number): boolean =>
      number >= oldest || pins.has(storage.metadata.get(number)!.checkpointId);
    const retained = numbers.filter(isRetained);
    const restored = storage.metadata.get(newest);
    this.state = newCoordinator({
      options: resolveCoordinatorOptions(rest),
      taskCount,
      epoch,
      retained: retained.map((completionNumber) => {
        const { checkpointId, files } = storage.metadata.get(completionNumber)!;
        const known = files.map((set) => [...set].map((id) => fileOf(Number.parseInt(id, 16))));
        return { checkpointId, completionNumber, isPinned: pins.has(checkpointId), files: known };
      }),
      restoredFrom: restored?.checkpointId,
      isClaimed,
      lastCheckpointId: 0,
      lastCompletionNumber: 0,
    });
    this.#userOwned = new Set(isClaimed ? [] : retained);
    const before = restored?.files.length ?? taskCount;
    this.#regrouped = before === taskCount ? undefined : restored?.checkpointId;
    this.#sets = Array.from({ length: taskCount }, (_, task) => {
      // The tasks whose key groups this one has taken over, wholly or in part.
      const first = Math.floor((task * before) / taskCount);
      const last = Math.ceil(((task + 1) * before) / taskCount);
      const files = restored?.files.slice(first, last).flatMap((set) => [...set]);
      return new Map(restored && [[restored.checkpointId, new Set(files)]]);
    });
    const known = new Set(
      retained.flatMap((n) => storage.metadata.get(n)!.files.flatMap((f) => [...f])),
    );
    this.#leftovers = {
      files: [...storage.files].filter((id) => !known.has(id)),
      metadata: numbers.filter((number) => !isRetained(number)),
    };
    this.event({ type: "start" });
  }

  event(event: CoordinatorEvent): void {
    for (const action of advance(this.state, event, this.#world.nowMs)) {
      this.#act(action);
    }
  }

  #act(action: CoordinatorAction): void {
    switch (action.type) {
      case "trigger": {
        if (action.task > 0) return this.#snapshot(action.task, action.checkpointId, action.base);
        assert.ok(action.checkpointId > this.#lastTriggered, "an id is triggered twice");
        this.#lastTriggered = action.checkpointId;
        this.open.add(action.checkpointId);
        assert.ok(this.open.size <= (this.#world.options.maxConcurrentCheckpoints ?? 1));
        return this.#snapshot(action.task, action.checkpointId, action.base);
      }
      case "write-metadata":
        assert.equal(this.write, undefined, "metadata is written one at a time");
        this.write = action;
        return;
      case "notify-complete":
      case "notify-aborted":
        this.open.delete(action.checkpointId);
        return;
      case "discard":
        assert.equal(this.#discard, undefined, "discards come one at a time");
        this.#discard = action;
        return;
      case "restore": // All tasks start again, from what the coordinator says.
        for (const sets of this.#sets) {
          for (const id of sets.keys()) if (id !== action.checkpointId) sets.delete(id);
        }
        return this.event({ type: "start" });
      case "notify-subsumed":
      case "request-completed":
      case "request-failed":
      case "fail-job":
      case "set-timer":
      case "close-sequence":
      case "stopped":
    }
  }

  /** The task uploads a few files, gives some back, and may share one of another task. */
  #snapshot(task: number, checkpointId: number, base: number | undefined): void {
    const { storage, choose, options } = this.#world;
    const before = base === undefined ? undefined : this.#sets[task]!.get(base);
    assert.ok(base === undefined || before !== undefined, "the base is one the task knows");
    const { changes } = this.#world;
    const isReleased = (): boolean => changes?.isCompacted ?? choose(2) === 0;
    const released = [...(before ?? [])].filter(isReleased);
    const isChanged = changes === undefined || changes.isCompacted || changes.isWritten;
    const count = changes === undefined ? 1 + choose(2) : Number(isChanged || before === undefined);
    const created = Array.from({ length: count }, () => storage.upload());
    if (changes !== undefined && task === options.taskCount - 1) {
      this.#world.changes = { isWritten: false, isCompacted: false };
    }
    const reused: string[] = [];
    const other = this.#sets[(task + 1) % options.taskCount]!.get(this.state.foundation ?? -1);
    const shared = [...(other ?? [])].find((id) => before?.has(id) !== true);
    const mayShare = shared !== undefined && !this.state.isFullDue && changes === undefined;
    if (mayShare && choose(3) === 0) reused.push(shared);
    const files = new Set(before);
    for (const id of released) files.delete(id);
    for (const { id } of created) files.add(id);
    for (const id of reused) files.add(id);
    this.#sets[task]!.set(checkpointId, files);
    const fresh = new Set(created.map(({ id }) => id));
    const isOld = (id: string): boolean => !fresh.has(id);
    this.acknowledgements.push({
      type: "task-acknowledged",
      epoch: this.#epoch,
      checkpointId,
      task,
      files:
        base === undefined || base !== this.#regrouped
          ? { base, created, reused, released }
          : { base: undefined, created, reused: [...files].filter(isOld), released: [] },
      handle: undefined,
    });
  }

  /** Delivers the acknowledgement at this place, or delivers it twice. */
  acknowledge(at: number, isRepeated: boolean = false): void {
    const event = this.acknowledgements[at];
    if (event === undefined) return;
    if (!isRepeated) this.acknowledgements.splice(at, 1);
    this.event(event);
  }

  /** The metadata under way becomes durable, if the number is free. */
  writeSucceeds(isHintDurable: boolean = true): void {
    const { write } = this;
    if (write === undefined) return;
    this.write = undefined;
    const { storage } = this.#world;
    const { completionNumber: number, checkpointId } = write;
    const outcome = storage.create(number, this.#metadataOf(write));
    const found = storage.metadata.get(number)!;
    const isOther = found.epoch !== this.#epoch || found.checkpointId !== checkpointId;
    if (isOther) return this.event({ type: "fenced" });
    if (storage.hint > number) {
      if (outcome === "created") storage.metadata.delete(number);
      return this.event({ type: "fenced" });
    }
    storage.limbo = storage.limbo.filter((one) => one.number !== number);
    if (isHintDurable) storage.hint = number;
    this.event({ type: "metadata-durable", checkpointId, isHintDurable });
    if (isHintDurable) this.#deleteLeftovers();
  }

  /** It fails: for certain, or nobody knows whether. */
  writeFails(isOutcomeKnown: boolean): void {
    const { write } = this;
    if (write === undefined) return;
    this.write = undefined;
    const { checkpointId, completionNumber: number } = write;
    const { limbo } = this.#world.storage;
    if (!isOutcomeKnown) limbo.push({ number, metadata: this.#metadataOf(write) });
    this.event({ type: "metadata-failed", checkpointId, isOutcomeKnown });
  }

  #metadataOf({ checkpointId, oldestRetained }: WriteMetadata): Metadata {
    const files = this.#sets.map((sets) => new Set(sets.get(checkpointId)));
    return { checkpointId, epoch: this.#epoch, oldestRetained, files };
  }

  discard(isDeleted: boolean): void {
    const discard = this.#discard;
    if (discard === undefined) return;
    this.#discard = undefined;
    if (isDeleted) this.#delete(discard.metadata, discard.files);
    this.event({ type: "discarded", isDeleted });
  }

  get hasDiscard(): boolean {
    return this.#discard !== undefined;
  }

  #delete(metadata: readonly number[], files: readonly string[]): void {
    const { storage, owner, pins } = this.#world;
    for (const number of metadata) {
      assert.ok(!this.#userOwned.has(number), "a checkpoint of the user is deleted");
      const id = storage.metadata.get(number)?.checkpointId;
      assert.ok(id === undefined || this !== owner || !pins.has(id), "a pinned one is deleted");
      assert.ok(number < storage.hint, "metadata from the hint upward is deleted");
      storage.metadata.delete(number);
    }
    const inUse = storage.referenced();
    // A paused owner that completed the next checkpoint after all has fenced the current one.
    const hasWon = this !== owner && storage.metadata.get(storage.newest())?.epoch === this.#epoch;
    if (!hasWon) for (const id of owner.used()) inUse.add(id);
    for (const { metadata: one } of storage.limbo) {
      if (one.epoch === this.#epoch)
        for (const set of one.files) for (const id of set) inUse.add(id);
    }
    for (const id of files) {
      assert.ok(!inUse.has(id), `${id} is deleted and in use`);
      storage.files.delete(id);
    }
  }

  /** What checkpoints under way may consist of. */
  used(): Set<string> {
    const sets = [...this.open].flatMap((id) => this.#sets.map((own) => own.get(id) ?? []));
    return new Set(sets.flatMap((set) => [...set]));
  }

  #deleteLeftovers(): void {
    const { metadata, files } = this.#leftovers;
    this.#leftovers = { metadata: [], files: [] };
    this.#delete(metadata, files);
  }

  /** Everything under way ends, and ends well. */
  settle(): void {
    for (let step = 0; step < 1000 && this.state.phase !== "fenced"; step++) {
      if (this.acknowledgements.length > 0) this.acknowledge(0);
      else if (this.write !== undefined) this.writeSucceeds();
      else if (this.hasDiscard) this.discard(true);
      else if (this.state.timerMs !== undefined && this.open.size > 0) {
        this.#world.nowMs = Math.max(this.#world.nowMs, this.state.timerMs);
        this.event({ type: "tick" });
      } else return;
    }
    assert.equal(this.state.phase, "fenced", "the owner does not come to rest");
  }
}
