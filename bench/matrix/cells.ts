// Checkpoints of one backend: for each rate of changes, popularity of keys and interval, some of them.
import type { CheckpointPolicy, CompletedCheckpoint } from "../../src/index.ts";
import type { RowState } from "../changelog/subject.ts";
import { zipfNumbers } from "../support/sequences.ts";
import { percentile } from "../support/statistics.ts";

export interface Cell {
  readonly changesPerSecond: number;
  readonly isZipf: boolean;
  readonly intervalMs: number;
}

export interface CellFigures extends Cell {
  readonly policy: CheckpointPolicy;
  readonly checkpoints: number;
  readonly pauseMsP50: number;
  readonly pauseMsMax: number;
  readonly durationMsP50: number;
  readonly durationMsMax: number;
  readonly newBytes: number;
  readonly newFiles: number;
  readonly referencedBytes: number;
  readonly referencedFiles: number;
  /** Of the whole process, changes included. */
  readonly cpuSeconds: number;
  /** Changes that the process could not make in time. */
  readonly missedShare: number;
}

/** Of distinct keys drawn before: so many are enough for any cell. */
const draws = 1_000_000;
const sliceMs = 5;

export class MatrixSubject {
  readonly #state: RowState;
  readonly #policy: CheckpointPolicy;
  readonly #zipf: Int32Array;
  #next = 0;

  constructor(state: RowState, policy: CheckpointPolicy) {
    this.#state = state;
    this.#policy = policy;
    this.#zipf = zipfNumbers(state.rows.count, draws, 0.99, 57);
  }

  /** Changes go on while a checkpoint runs; one that is late delays the next, as in a job. */
  async measure(cell: Cell, checkpoints: number): Promise<CellFigures> {
    const taken: CompletedCheckpoint[] = [];
    const cpu = process.cpuUsage();
    const start = performance.now();
    let changes = 0;
    for (let number = 0; number < checkpoints; number++) {
      changes += await this.#changeFor(cell, cell.intervalMs, () => false);
      let completed: CompletedCheckpoint | undefined;
      const running = this.#state.backend.checkpoint().then((one) => (completed = one));
      const isDone = (): boolean => completed !== undefined;
      changes += await this.#changeFor(cell, Number.POSITIVE_INFINITY, isDone);
      taken.push(await running);
    }
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const due = cell.changesPerSecond * seconds;
    return {
      ...cell,
      policy: this.#policy,
      checkpoints: taken.length,
      pauseMsP50: percentile(
        taken.map(({ pauseMs }) => pauseMs),
        50,
      ),
      pauseMsMax: Math.max(...taken.map(({ pauseMs }) => pauseMs)),
      durationMsP50: percentile(
        taken.map(({ durationMs }) => durationMs),
        50,
      ),
      durationMsMax: Math.max(...taken.map(({ durationMs }) => durationMs)),
      newBytes: meanOf(taken.map(({ uploadedBytes }) => uploadedBytes)),
      newFiles: meanOf(taken.map(({ newFileCount }) => newFileCount)),
      referencedBytes: taken.at(-1)!.totalBytes,
      referencedFiles: taken.at(-1)!.fileCount,
      cpuSeconds: (user + system) / 1e6,
      missedShare: Math.max(0, 1 - changes / due),
    };
  }

  async #changeFor(cell: Cell, ms: number, isDone: () => boolean): Promise<number> {
    const { changesPerSecond, isZipf } = cell;
    const start = performance.now();
    let changes = 0;
    for (let now = start; now - start < ms && !isDone(); now = performance.now()) {
      const due = Math.floor(((now - start + sliceMs) / 1000) * changesPerSecond);
      const count = Math.min(due - changes, 2000);
      if (count > 0 && isZipf) await this.#changeZipf(count);
      else if (count > 0) await this.#state.change(count);
      changes += Math.max(0, count);
      await new Promise((resolve) => setTimeout(resolve, count >= 2000 ? 0 : sliceMs));
    }
    return changes;
  }

  async #changeZipf(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.#state.changeRow(this.#zipf[this.#next]!);
      if (++this.#next === draws) this.#next = 0;
    }
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
