// One life of a job: a random sequence of life-cycle operations on real coordinators and backends,
// audited after each. Nothing is asserted here: what is wrong is counted by kind.
import { unpinNumber } from "../../src/checkpoint/pins.ts";
import { CheckpointReader } from "../../src/checkpoint/checkpoint-reader.ts";
import { memoryEnvironment } from "../../src/environment/memory-environment.ts";
import type { MemoryEnvironment } from "../../src/environment/memory-environment.ts";
import { nodeEnvironment } from "../../src/environment/node-environment.ts";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import type {
  CheckpointPolicy,
  CheckpointStorage,
  CheckpointTask,
  Environment,
  RestoreHandles,
} from "../../src/index.ts";
import { StateBackendError, StorageError } from "../../src/errors.ts";
import { longChangelog } from "../support/busy-changelog.ts";
import { auditStorage } from "../support/storage-audit.ts";
import { TaskJob, modelNameOf } from "../support/task-job.ts";
import { wholeObjects } from "../support/other-storages.ts";
import { endOf, never, pause } from "./endings.ts";
import { longOperations, operations, storeOperations } from "./life-operations.ts";
import type { ViolationKind } from "./violations.ts";
import { faultyStorage, type Faults } from "./faulty-storage.ts";

export interface LifeOptions {
  readonly seed: number;
  readonly operations: number;
  readonly backend: "memory" | "lsm";
  /** Of the lsm backend; `any`: another one at every start. @defaultValue the backend's own */
  readonly policy?: CheckpointPolicy | "any" | undefined;
  /** An empty directory of its own; "": in memory, with a toy in LevelDB's place. */
  readonly directory: string;
  /** Whether many checkpoints may come in a row. @defaultValue false */
  readonly isLong?: boolean;
  /** Called once, half-way: for the proof that what it breaks is noticed. */
  readonly sabotage?: ((life: Life) => Promise<void> | void) | undefined;
}

export interface LifeResult {
  readonly operations: number;
  readonly checkpoints: number;
  readonly kills: number;
  readonly restores: number;
  readonly rescales: number;
  readonly violations: ReadonlyMap<ViolationKind, readonly string[]>;
  /** What was done, for whoever looks into a violation. */
  readonly history: readonly string[];
}

const policies: readonly CheckpointPolicy[] = ["full", "incremental", "changelog"];

export async function runLife(options: LifeOptions): Promise<LifeResult> {
  const life = new Life(options);
  await life.run();
  return life;
}

export class Life implements LifeResult {
  readonly violations: Map<ViolationKind, string[]> = new Map();
  readonly history: string[] = [];
  operations = 0;
  checkpoints = 0;
  kills = 0;
  restores = 0;
  rescales = 0;
  readonly random: () => number;
  readonly #options: LifeOptions;
  readonly faults: Faults = {
    creations: [],
    uploads: [],
    throttled: 0,
    deletions: 0,
    hints: 0,
    pins: 0,
    ignoresDeletions: false,
  };
  readonly models: Map<string, ReadonlyMap<string, string>> = new Map();
  readonly pinned: Map<number, number> = new Map();
  readonly zombies: TaskJob[] = [];
  /** Those that are killed: closed at the end, when nobody looks any more. */
  readonly #dead: TaskJob[] = [];
  environment: Environment;
  job!: TaskJob;
  isDeclining = false;
  isHanging = false;
  #lives = 0;
  #underWay: Promise<unknown>[] = [];
  /** Highest id that a task of the present line of owners was told of. */
  #toldId = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    this.environment =
      options.directory === "" ? memoryEnvironment({ seed: options.seed }) : nodeEnvironment();
  }

  /** In every second life each checkpoint of policy "changelog" is an object, and they are put together. */
  get #isOfObjects(): boolean {
    return this.#options.backend === "lsm" && this.#options.seed % 2 === 0;
  }

  /** A toy is in LevelDB's place, and what holds the checkpoints behaves as an object store. */
  get #isSimulated(): boolean {
    return this.#options.backend === "lsm" && this.#options.directory === "";
  }

  choose(count: number): number {
    return Math.floor(this.random() * count);
  }

  violate(kind: ViolationKind, what: string): void {
    const found = this.violations.get(kind) ?? [];
    found.push(`operation ${this.operations}: ${what}`);
    this.violations.set(kind, found);
  }

  get memory(): MemoryEnvironment | undefined {
    return this.#options.directory === "" ? (this.environment as MemoryEnvironment) : undefined;
  }

  async run(): Promise<void> {
    await this.open(2);
    const possible = {
      ...operations,
      ...(this.#isSimulated ? storeOperations : {}),
      ...(this.#options.isLong === true ? longOperations : {}),
    };
    const names = Object.keys(possible);
    while (this.operations < this.#options.operations) {
      const name = names[this.choose(names.length)]!;
      this.operations++;
      if (this.operations === Math.ceil(this.#options.operations / 2)) {
        await this.#options.sabotage?.(this);
      }
      this.history.push(name);
      try {
        await possible[name]!(this);
        if (this.job.coordinator.signal.aborted) await this.takeOver("fenced");
        await this.audit(false);
      } catch (error) {
        this.violate("unexpected", `${name}: ${String(error)}`);
        break;
      }
    }
    await this.finish();
  }

  /** Opens a new owner of the job, with tasks, from its newest checkpoint or the given one. */
  async open(taskCount: number, restore: string | number = "latest-or-new"): Promise<void> {
    this.clearFaults(); // An owner that cannot look does not open: that is not what is tried here.
    const toldId = this.#toldId; // What a paused owner completes from here on fences the new one.
    const { directory, backend, policy } = this.#options;
    const changelog = this.#isOfObjects ? longChangelog : undefined;
    this.job = await TaskJob.open(
      {
        environment: this.environment,
        backend,
        policy: policy === "any" ? policies[this.choose(policies.length)] : policy,
        changelog,
        storagePath: `${directory}/store`,
        tag: `owner ${this.#lives + 1}`,
        workPath: `${directory}/work-${++this.#lives}`,
        wrap: (storage) =>
          faultyStorage(this.#isOfObjects ? wholeObjects(storage) : storage, this.faults),
      },
      {
        taskCount,
        restore,
        retainedCheckpoints: 1 + this.choose(3),
        maxConcurrentCheckpoints: 1 + this.choose(2),
        tolerableFailedCheckpoints: 1000,
        timeoutMs: 60_000,
      },
    );
    this.job.wrapTask = (task, index) => this.#wrap(task, index);
    const { restore: start } = this.job.coordinator;
    this.restores++;
    const isChosen = typeof restore === "number";
    if (isChosen) this.#toldId = start.checkpointId;
    else if (start.checkpointId < toldId) {
      this.violate("lost", `${start.checkpointId} after ${toldId}`);
    }
    if (start.checkpointId > 0 && !this.models.has(modelNameOf(start))) {
      this.violate("wrongState", `checkpoint ${start.checkpointId} was never triggered`);
      this.models.set(modelNameOf(start), new Map());
    }
    await this.job.start(taskCount, start, this.models);
    await this.#verify();
  }

  async #verify(): Promise<void> {
    try {
      await this.job.verify();
    } catch (error) {
      this.violate("wrongState", String(error));
    }
  }

  #wrap(task: CheckpointTask, index: number): CheckpointTask {
    const { job } = this;
    return {
      ...task,
      triggerCheckpoint: (id, options) => {
        if (this.isDeclining && index === 0) throw new StorageError("declined by the test");
        const answer = task.triggerCheckpoint(id, options);
        this.models.set(job.modelName(id), job.models.get(job.modelName(id))!);
        if (this.isHanging && index === 0) return never(options.signal, answer);
        return answer;
      },
      notifyCheckpointComplete: (id) => {
        task.notifyCheckpointComplete(id);
        if (index > 0) return;
        this.checkpoints++;
        const isAlive = job === this.job && !this.#dead.includes(job);
        if (isAlive) this.#toldId = Math.max(this.#toldId, id);
      },
    };
  }

  write(): void {
    for (let count = 1 + this.choose(5); count > 0; count--) {
      this.job.write(`key-${this.choose(40)}`, `value-${this.operations}-${count}`);
    }
  }

  /** Triggers, and waits for the end or lets it go on. */
  async trigger(isAwaited: boolean, full = false): Promise<void> {
    const outcome = this.job.coordinator.trigger({ full }).catch((error: unknown) => {
      if (!(error instanceof StateBackendError)) this.violate("unexpected", String(error));
    });
    this.#underWay.push(outcome);
    if (isAwaited) await this.settle();
  }

  /** Until everything under way has ended, with time going on where it must. */
  async settle(): Promise<void> {
    let isSettled = false;
    const all = Promise.all(this.#underWay).then(() => (isSettled = true));
    for (let turn = 0; !isSettled; turn++) {
      await this.environment.timers.yieldTurn();
      if (turn % 50 === 49) this.memory?.advance(1000);
      if (this.memory === undefined && turn > 50) await Promise.race([all, pause()]);
      if (turn > 100_000) throw new Error("checkpoints do not end");
    }
    this.#underWay = [];
  }

  /** The owner dies where it stands. In memory, what it had not synced may be lost. */
  async kill(taskCount: number = 1 + this.choose(3)): Promise<void> {
    this.kills++;
    this.#dead.push(this.job, ...this.zombies.splice(0));
    this.clearFaults();
    if (this.memory !== undefined) {
      const fileSystem = this.memory.fileSystem.crash(this.random);
      this.environment = memoryEnvironment({
        fileSystem,
        seed: this.choose(1e9),
        wallMs: this.environment.clock.wallMs(),
      });
    } else {
      await this.settle(); // Its threads cannot be killed alone: nothing it does counts any more.
    }
    this.#underWay = [];
    await this.open(taskCount);
  }

  /** Another owner takes over while this one goes on. */
  async takeOver(why: string): Promise<void> {
    this.history.push(`take over: ${why}`);
    this.zombies.push(this.job);
    await this.open(1 + this.choose(3));
  }

  /** A paused owner goes on: it is fenced if the present one has completed anything. */
  async zombieGoesOn(): Promise<void> {
    const zombie = this.zombies[0];
    if (zombie === undefined) return;
    const completedByUs = this.job.completed.length;
    const before = zombie.completed.length;
    const outcome = zombie.coordinator.trigger().catch(() => undefined);
    this.#underWay.push(outcome);
    await this.settle();
    if (completedByUs > 0 && zombie.completed.length > before) {
      this.violate("fence", `a replaced owner completed ${zombie.completed.at(-1)}`);
    }
    if (zombie.completed.length > before) this.#toldId = zombie.completed.at(-1)!;
  }

  clearFaults(): void {
    this.faults.creations = [];
    this.faults.uploads = [];
    this.faults.throttled = 0;
    this.faults.deletions = 0;
    this.faults.hints = 0;
    this.faults.pins = 0;
    this.isDeclining = false;
    this.isHanging = false;
  }

  /** The storage without the faults. */
  get storage(): CheckpointStorage {
    return this.job.storage;
  }

  async audit(isQuiet: boolean): Promise<void> {
    const { creations, uploads } = this.faults;
    const held = { ...this.faults, creations: [...creations], uploads: [...uploads] };
    const { isDeclining, isHanging } = this;
    this.clearFaults();
    const audit = await auditStorage(this.storage);
    if (audit.missing.length > 0) this.violate("missingFiles", audit.missing.join(", "));
    if (audit.unreadable.length > 0) this.violate("unreadable", audit.unreadable.join(", "));
    if (isQuiet && audit.unreferenced.length > 0) {
      this.violate("leaks", audit.unreferenced.join(", "));
    }
    const reader = new CheckpointReader(this.storage);
    let last = 0;
    for (const number of audit.retained) {
      const metadata = await reader.load(number).catch(() => undefined); // Deleted meanwhile.
      if (metadata === undefined) continue;
      if (metadata.checkpointId <= last) this.violate("idReused", String(metadata.checkpointId));
      last = metadata.checkpointId;
    }
    for (const [number, id] of this.pinned) {
      if (!audit.retained.includes(number)) this.violate("pinnedDeleted", `${id}`);
    }
    Object.assign(this.faults, held);
    this.isDeclining = isDeclining;
    this.isHanging = isHanging;
  }

  /** Everything ends well; then two checkpoints, a new owner, and two more: one grace period. */
  async finish(): Promise<void> {
    this.clearFaults();
    try {
      for (const number of this.pinned.keys()) await unpinNumber(this.storage, number);
      this.pinned.clear();
      await this.settle();
      for (let round = 0; round < 3; round++) {
        await this.kill(2);
        for (let count = 0; count < 4; count++) {
          this.write();
          await this.trigger(true);
        }
        await this.job.coordinator.close();
        await this.#verify();
        // Segments that are begun, and bases that no checkpoint has named yet, go with their tasks.
        await this.job.closeTasks();
        await this.audit(round > 0);
        this.#dead.push(this.job);
      }
    } catch (error) {
      this.violate("unexpected", `at the end: ${String(error)}`);
    }
    for (const job of new Set([...this.#dead, ...this.zombies, this.job])) await endOf(job);
  }

  /** The owner ends in order, and another one starts, with as many tasks as given. */
  async restart(taskCount: number, restore: string | number = "latest-or-new"): Promise<void> {
    this.clearFaults();
    await this.settle();
    await this.job.close();
    if (!this.job.coordinator.signal.aborted) throw new Error("closed, and not aborted");
    if (taskCount !== this.job.tasks.length) this.rescales++;
    await this.open(taskCount, restore);
  }

  async recover(): Promise<void> {
    const { job } = this;
    const count = job.tasks.length;
    let restore: RestoreHandles | StateBackendError;
    do {
      const waiting = job.coordinator.recover().catch((error: unknown) => {
        return error as StateBackendError;
      });
      await this.settle();
      restore = await waiting;
    } while (restore instanceof StateBackendError && restore.retriable);
    this.faults.throttled = 0; // A task that cannot look does not open.
    if (restore instanceof StateBackendError) return this.#overtaken(restore);
    await job.closeTasks();
    try {
      await job.start(count, restore, this.models);
    } catch (error) {
      if (!(error instanceof StateBackendError)) throw error;
      return this.#overtaken(error);
    }
    await this.#verify();
  }

  /** A paused owner went on, and completed or even deleted what this one would restore. */
  async #overtaken(error: StateBackendError): Promise<void> {
    const isOvertaken = ["VARVE_FENCED", "VARVE_CHECKPOINT_NOT_FOUND"].includes(error.code);
    if (!isOvertaken || this.zombies.length === 0) throw error;
    if (!this.job.coordinator.signal.aborted) await this.takeOver("overtaken");
  }
}
