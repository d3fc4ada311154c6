// Removes what no checkpoint references: uploads of owners that were killed, deletions given up.
//   G1. Marked from metadata alone. While a retained checkpoint cannot be read nothing is removed.
//   G2. Removed is only what was there, and unreferenced, before a fence, and still is after it. The
//       fence is certain, whatever clocks say: either this tool completes a copy of the newest
//       checkpoint, so that every owner before it is fenced; or so many checkpoints complete that none
//       can be under way any more that began before.
//   G3. After the fence a grace period passes: requests that a store has delayed are over then.
//   G4. While the job runs no changelog segment is removed: its process may hold one open that no checkpoint
//       names yet, or names no more, for as long as nothing changes, and go on with it.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { CompletionSequence } from "../checkpoint/completion-sequence.ts";
import { metadataName } from "../checkpoint/layout.ts";
import { type RetainedScan, scanRetained } from "../checkpoint/retained-scan.ts";
import { integerOption, refuseUnknownOptions } from "../common/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { SEGMENT_MAGIC } from "../format/changelog-segment.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import { encodeMetadata } from "../format/metadata.ts";
import { openWorkerPool } from "../workers/worker-pool.ts";
import { type CheckpointSource, locate } from "./checkpoint-location.ts";

/** Above the 16 checkpoints that one backend may have under way. */
const checkpointsByDefault = 17;
const pollMs = 500;
const deleteBatch = 1000;

export interface GarbageOptions {
  /**
   * `dry-run`: only tells what nothing references now; some of it may be under way. `take-over`: the
   * job does not run; should it do so after all, it is fenced. `follow`: the job runs; waits until
   * enough of its checkpoints have completed.
   */
  readonly mode: "dry-run" | "take-over" | "follow";
  /**
   * `follow` only: how many must complete; more than may be under way at a time.
   * @defaultValue 17
   */
  readonly checkpoints?: number | undefined;
  /** Milliseconds between fence and removal. @defaultValue 60,000 */
  readonly graceMs?: number | undefined;
  readonly environment?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?:
    ((phase: "wait" | "grace" | "remove", done: number, total: number) => void) | undefined;
}

export interface GarbageReport {
  readonly mode: GarbageOptions["mode"];
  /** Names of files and metadata that were removed; with `dry-run`, that would be looked at. */
  readonly names: readonly string[];
  readonly bytes: number;
  /** Unreferenced at first, and part of a checkpoint since; or, with `follow`, changelog segments. */
  readonly keptNames: number;
}

/** InvalidArgumentError, CheckpointNotFoundError, CorruptionError, FencedError, StorageError. */
export async function collectGarbage(
  source: CheckpointSource,
  options: GarbageOptions,
): Promise<GarbageReport> {
  const { mode, graceMs, checkpoints } = resolve(options);
  const environment = options.environment ?? nodeEnvironment();
  const { storage, completionNumber } = locate(source, { environment });
  if (completionNumber !== undefined) {
    throw new InvalidArgumentError("the path names one checkpoint: name the storage's root");
  }
  const pool = await openWorkerPool({ environment, threads: 1 });
  try {
    const collector = new Collector(storage, environment, options, () =>
      scanRetained(storage, pool),
    );
    return await collector.run(mode, graceMs, checkpoints);
  } finally {
    await pool.close();
  }
}

function resolve(options: GarbageOptions) {
  const names = ["mode", "checkpoints", "graceMs", "environment", "signal", "onProgress"];
  refuseUnknownOptions("collectGarbage", options, names);
  const { mode } = options;
  if (!["dry-run", "take-over", "follow"].includes(mode)) {
    throw new InvalidArgumentError('mode must be "dry-run", "take-over" or "follow"');
  }
  if (options.checkpoints !== undefined && mode !== "follow") {
    throw new InvalidArgumentError("checkpoints is for the mode follow");
  }
  return {
    mode,
    checkpoints: integerOption(
      "checkpoints",
      options.checkpoints,
      checkpointsByDefault,
      2,
      100_000,
    ),
    graceMs: integerOption("graceMs", options.graceMs, 60_000, 0, 86_400_000),
  };
}

class Collector {
  readonly #storage: CheckpointStorage;
  readonly #environment: Environment;
  readonly #options: GarbageOptions;
  readonly #scan: () => Promise<RetainedScan>;

  constructor(
    storage: CheckpointStorage,
    environment: Environment,
    options: GarbageOptions,
    scan: () => Promise<RetainedScan>,
  ) {
    this.#storage = storage;
    this.#environment = environment;
    this.#options = options;
    this.#scan = scan;
  }

  async run(
    mode: GarbageOptions["mode"],
    graceMs: number,
    checkpoints: number,
  ): Promise<GarbageReport> {
    const before = await this.#mark();
    if (mode === "dry-run" || before.length === 0) {
      return { mode, names: before, bytes: await this.#sizeOf(before), keptNames: 0 };
    }
    await this.#storage.open();
    if (mode === "take-over") await this.#takeOver();
    else await this.#follow(checkpoints);
    await this.#grace(graceMs);
    const after = new Set(await this.#mark()); // G2
    const there = before.filter((name) => after.has(name));
    const names = mode === "follow" ? await this.#withoutSegments(there) : there;
    const bytes = await this.#sizeOf(names);
    await this.#remove(names);
    return { mode, names, bytes, keptNames: before.length - names.length };
  }

  /** What nothing references (G1): metadata first. */
  async #mark(): Promise<readonly string[]> {
    this.#options.signal?.throwIfAborted();
    const { unreadable, leftovers, newest } = await this.#scan();
    const [damaged] = unreadable;
    if (damaged === undefined)
      return newest === 0 ? [] : [...leftovers.metadata, ...leftovers.files];
    throw new CorruptionError(
      `checkpoint number ${damaged} cannot be read, and what it uses is unknown: nothing is removed`,
      metadataName(damaged),
      0,
    );
  }

  /** Completes the newest checkpoint once more, under an epoch of its own. */
  async #takeOver(): Promise<void> {
    const { random, clock } = this.#environment;
    const reader = new CheckpointReader(this.#storage);
    const sequence = new CompletionSequence(this.#storage);
    const id = toHex(random.bytes(16));
    const checksum = await loadFrameChecksum();
    for (;;) {
      this.#options.signal?.throwIfAborted();
      const newest = await reader.loadNewest();
      const number = newest.completionNumber + 1;
      const copy = {
        ...newest,
        checkpointId: newest.checkpointId + 1,
        completionNumber: number,
        writerEpoch: { id, number: newest.writerEpoch.number + 1 },
        createdAtMs: Math.max(0, Math.floor(clock.wallMs())),
      };
      const creation = await sequence.create(number, encodeMetadata(copy, checksum));
      if (creation.outcome === "failed") throw creation.cause as Error;
      if (creation.outcome === "exists") continue; // The job runs: once more, after its checkpoint.
      if ((await sequence.overtakenBy(number, creation.hinted)) === undefined) {
        await sequence.publish(number);
        return;
      }
      await sequence.withdraw(number);
    }
  }

  async #follow(checkpoints: number): Promise<void> {
    const reader = new CheckpointReader(this.#storage);
    const begun = (await reader.findNewest()) ?? 0;
    for (let newest = begun; newest < begun + checkpoints;) {
      this.#options.onProgress?.("wait", newest - begun, checkpoints);
      await this.#environment.timers.delay(pollMs, this.#options.signal);
      newest = (await reader.findNewest()) ?? begun;
    }
  }

  async #grace(graceMs: number): Promise<void> {
    const { clock, timers } = this.#environment;
    const begunMs = clock.monotonicMs();
    for (let passed = 0; passed < graceMs; passed = clock.monotonicMs() - begunMs) {
      this.#options.onProgress?.("grace", passed, graceMs);
      await timers.delay(Math.min(pollMs, graceMs - passed), this.#options.signal);
    }
  }

  async #remove(names: readonly string[]): Promise<void> {
    for (let at = 0; at < names.length; at += deleteBatch) {
      this.#options.signal?.throwIfAborted();
      this.#options.onProgress?.("remove", at, names.length);
      await this.#storage.delete(names.slice(at, at + deleteBatch));
    }
  }

  /** G4 */
  async #withoutSegments(names: readonly string[]): Promise<readonly string[]> {
    const kept: string[] = [];
    for (const name of names) {
      const head = await this.#storage.readRange(name, 0, SEGMENT_MAGIC.length);
      if (head === undefined || Buffer.from(head).toString("latin1") !== SEGMENT_MAGIC) {
        kept.push(name);
      }
    }
    return kept;
  }

  async #sizeOf(names: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const name of names) bytes += (await this.#storage.size(name)) ?? 0;
    return bytes;
  }
}
