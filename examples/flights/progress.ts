// What a person sees while the job runs, on standard error: a bar on a terminal, plain lines elsewhere.
import { performance } from "node:perf_hooks";

const BAR_COLUMNS = 30;
const PLAIN_INTERVAL_MS = 5_000;
/** On other outputs every checkpoint would be a line of its own: only some are shown. */
const PLAIN_CHECKPOINTS = 20;

export class Progress {
  readonly #positions: number;
  readonly #isTerminal: boolean = process.stderr.isTTY === true;
  #shownMs = performance.now();
  #shownPosition = 0;
  #checkpoints = 0;
  #rate = 0;

  constructor(positions: number) {
    this.#positions = positions;
  }

  progress(position: number, checkpoints: number, kills: number): void {
    const nowMs = performance.now();
    const sinceMs = nowMs - this.#shownMs;
    if (sinceMs < (this.#isTerminal ? 200 : PLAIN_INTERVAL_MS)) return;
    this.#rate = Math.max(0, (position - this.#shownPosition) / sinceMs) * 1000;
    this.#shownMs = nowMs;
    this.#shownPosition = position;
    const share = position / this.#positions;
    const filled = Math.round(share * BAR_COLUMNS);
    const bar = "#".repeat(filled) + ".".repeat(BAR_COLUMNS - filled);
    const text = `${(share * 100).toFixed(0).padStart(3)} % [${bar}] ${this.#rate.toFixed(0)} records/s, ${checkpoints} checkpoints, ${kills} kills`;
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text}` : `${text}\n`);
  }

  note(text: string): void {
    if (text.startsWith("checkpoint ") && !this.#isTerminal) {
      if (this.#checkpoints++ % PLAIN_CHECKPOINTS !== 0) return;
    }
    process.stderr.write(this.#isTerminal ? `\r\u001b[K${text}\n` : `${text}\n`);
  }

  end(): void {
    if (this.#isTerminal) process.stderr.write("\r\u001b[K");
  }
}
