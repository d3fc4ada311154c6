// What a person sees while the job runs, on standard error: on a terminal a bar below the events,
// elsewhere plain lines.
import { performance } from "node:perf_hooks";
import type { CheckpointReport } from "./job-messages.ts";

const BAR_COLUMNS = 30;
const BAR_INTERVAL_MS = 200;
const LINE_INTERVAL_MS = 5_000;
const MIB_BYTES = 1_048_576;

export class Progress {
  readonly #positionCount: number;
  readonly #isTerminal: boolean = process.stderr.isTTY === true;
  #bar = "";
  #shownMs = performance.now();
  #shownPosition = 0;

  constructor(positionCount: number) {
    this.#positionCount = positionCount;
  }

  progress(position: number, checkpoints: number, kills: number): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#shownMs;
    const isLast = position === this.#positionCount && this.#shownPosition !== position;
    if (sinceMs < (this.#isTerminal ? BAR_INTERVAL_MS : LINE_INTERVAL_MS) && !isLast) return;
    // Less than nothing right after a kill: the job goes back to its checkpoint.
    const rate = Math.max(0, ((position - this.#shownPosition) / sinceMs) * 1_000);
    this.#shownMs = nowMs;
    this.#shownPosition = position;
    const share = position / this.#positionCount;
    const filled = Math.round(share * BAR_COLUMNS);
    this.#bar =
      `${(share * 100).toFixed(0).padStart(3)} % [${"#".repeat(filled).padEnd(BAR_COLUMNS, ".")}] ` +
      `${rate.toFixed(0)} records/s, ${checkpoints} checkpoints, ${kills} kills`;
    if (this.#isTerminal) process.stderr.write(`\r\u001b[K${this.#bar}`);
    else process.stderr.write(`${this.#bar}\n`);
  }

  checkpoint(report: CheckpointReport): void {
    const { checkpointId, position, durationMs, pauseMs, uploadedBytes } = report;
    this.note(
      `checkpoint ${checkpointId} at ${position}: durable in ${durationMs.toFixed(0)} ms, ` +
        `pause ${pauseMs.toFixed(1)} ms, ${(uploadedBytes / MIB_BYTES).toFixed(1)} MiB new`,
    );
  }

  note(text: string): void {
    if (this.#isTerminal) process.stderr.write(`\r\u001b[K${text}\n${this.#bar}`);
    else process.stderr.write(`${text}\n`);
  }

  /** The bar has served its purpose. */
  end(): void {
    if (this.#isTerminal) process.stderr.write("\r\u001b[K");
    this.#bar = "";
  }
}
