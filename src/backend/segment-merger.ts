// Puts small segments of a chain together in the background, so that hundreds of checkpoints are not
// hundreds of files: where each is an object of its own, and after many restarts.
//   S1. One at a time, made or not, until a checkpoint that names it is confirmed or given up. Other
//       checkpoints go on naming the parts until then: they are confirmed, and stay as long.
//   S2. What is put together was verified as a restore would: damage is never passed on under a new
//       hash. It ends the chain instead, so that the next checkpoint holds everything.
//   S3. A run is of segments below 256 KiB, what was merged included: each byte is written once more, and
//       up to 256 KiB of merged ones with each run.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { KeyGroupRange, SegmentHandle } from "../api/keyed-state-backend.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { assert } from "../common/assert.ts";
import { MIB } from "../common/units.ts";
import { type LogMergeTrace, logMergeTracing } from "../diagnostics.ts";
import { CorruptionError, StorageError } from "../errors.ts";
import { FILE_ID_BYTES } from "../format/file-list.ts";
import { toHex } from "../format/hex.ts";
import type { WorkerTasks } from "../workers/tasks.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { BackOff } from "./back-off.ts";
import type { BackendStatus } from "./backend-status.ts";
import type { ChangelogChain, MergedSegment, WantedRun } from "./changelog-chain.ts";
import type { ResolvedChangelogOptions } from "./changelog-options.ts";
import { raceAbort } from "./drain-controller.ts";

/** S3 */
const SMALL_BYTES_MAX = 262_144;
/** They are held in memory at once. */
const RUN_BYTES_MAX: number = 4 * MIB;

export interface SegmentMergerOptions {
  readonly environment: Environment;
  readonly storage: CheckpointStorage;
  readonly local: LocalFiles | undefined;
  readonly pool: WorkerPool;
  readonly status: BackendStatus;
  readonly keyGroups: KeyGroupRange;
  readonly changelog: Pick<ResolvedChangelogOptions, "segmentBytes" | "segmentsToMerge">;
  readonly discard: (ids: readonly string[]) => void;
  /** What is stored of the chain is damaged (S2). */
  readonly onDamage: (chain: ChangelogChain) => void;
}

type SegmentBytes = WorkerTasks["mergeSegments"]["request"]["segments"][number];

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "running"; readonly stop: AbortController }
  | { readonly kind: "made"; readonly merged: MergedSegment; readonly chain: ChangelogChain }
  | { readonly kind: "taken"; readonly merged: MergedSegment };

export class SegmentMerger {
  readonly #options: SegmentMergerOptions;
  readonly #backOff: BackOff;
  readonly #run: WantedRun;
  #state: State = { kind: "idle" };
  #work: Promise<void> = Promise.resolve();
  merges = 0;
  failed = 0;

  constructor(options: SegmentMergerOptions) {
    this.#options = options;
    this.#backOff = new BackOff(options.environment.clock);
    const { segmentBytes, segmentsToMerge } = options.changelog;
    const bytes = Math.min(SMALL_BYTES_MAX, segmentBytes / 4);
    this.#run = { bytes, countMin: segmentsToMerge, totalBytesMax: RUN_BYTES_MAX };
  }

  /** Begins if there is a run of small segments that `isConfirmed`, and nothing is under way (S1). */
  consider(chain: ChangelogChain, baseChange: number, isConfirmed: (id: string) => boolean): void {
    if (this.#state.kind !== "idle" || !this.#options.status.isOpen || this.#backOff.isPaused) {
      return;
    }
    const parts = chain.smallSegments(baseChange, this.#run, isConfirmed);
    if (parts.length === 0) return;
    const stop = new AbortController();
    const trace: LogMergeTrace = { parts: parts.length };
    this.#state = { kind: "running", stop };
    this.#work = logMergeTracing
      .tracePromise(() => this.#merge(chain, baseChange, parts, stop.signal, trace), trace)
      .catch((error: unknown) => this.#failedOnce(chain, stop, error));
  }

  async #merge(
    chain: ChangelogChain,
    afterChange: number,
    parts: readonly SegmentHandle[],
    signal: AbortSignal,
    trace: LogMergeTrace,
  ): Promise<void> {
    const { environment, storage, local, pool, keyGroups, discard } = this.#options;
    const reading = Promise.all(parts.map((part) => this.#read(part)));
    const segments = await raceAbort(reading, signal); //# fail point: merge.read
    const request = { segments, keyGroups, afterChange };
    const { bytes, sha256 } = await pool.submit("mergeSegments", request, {
      signal,
      isBackground: true,
    });
    const id = toHex(environment.random.bytes(FILE_ID_BYTES));
    try {
      await storage.putBytes(fileName(id), bytes, { signal }); //# fail point: merge.stored
      await local?.keepSegment(id, bytes);
      signal.throwIfAborted(); // From here to its state nothing is awaited.
    } catch (error) {
      discard([id]); // Also where it failed: part of it may be there.
      throw error;
    }
    trace.uploadedBytes = bytes.length;
    const handle = { id, lengthBytes: bytes.length, sha256 };
    const merged = { handle, parts: parts.map((part) => part.id) };
    this.#state = { kind: "made", merged, chain };
  }

  async #read({ id, lengthBytes, sha256 }: SegmentHandle): Promise<SegmentBytes> {
    const file = fileName(id);
    const bytes = await this.#options.storage.readRange(file, 0, lengthBytes);
    // Of a newer base than we know of yet, perhaps: that is no damage.
    if (bytes === undefined) throw new StorageError(`${file} does not exist any more`);
    if (bytes.length === lengthBytes) return { bytes, sha256, file };
    const what = `the stored segment has ${bytes.length} bytes of ${lengthBytes}`;
    throw new CorruptionError(what, file, bytes.length);
  }

  #failedOnce(chain: ChangelogChain, stop: AbortController, error: unknown): void {
    if (this.#state.kind === "running" && this.#state.stop === stop) this.#state = { kind: "idle" };
    if (stop.signal.aborted || !this.#options.status.isOpen) return;
    this.failed++;
    this.#backOff.failed();
    if (error instanceof CorruptionError) this.#options.onDamage(chain); // S2
  }

  /** What is made of this chain, for one checkpoint. */
  take(chain: ChangelogChain): MergedSegment | undefined {
    if (this.#state.kind !== "made") return undefined;
    const { merged } = this.#state;
    if (this.#state.chain !== chain || !chain.hasParts(merged)) {
      this.cancel();
      return undefined;
    }
    this.#state = { kind: "taken", merged };
    return merged;
  }

  /** The checkpoint that names it is confirmed. */
  confirmed(merged: MergedSegment): void {
    this.#end(merged);
    this.#backOff.succeeded();
    this.merges++;
  }

  /** The checkpoint with it is given up; whoever was told of its file deletes it. */
  dropped(merged: MergedSegment): void {
    this.#end(merged);
  }

  #end(merged: MergedSegment): void {
    const isTaken = this.#state.kind === "taken" && this.#state.merged === merged;
    assert(isTaken, "S1: another merged segment is taken");
    this.#state = { kind: "idle" };
  }

  /** What is under way or made is of no use. What is taken ends with its checkpoint. */
  cancel(): void {
    const state = this.#state;
    if (state.kind === "running") state.stop.abort(new Error("nobody needs it any more"));
    else if (state.kind === "made") this.#options.discard([state.merged.handle.id]);
    else return;
    this.#state = { kind: "idle" };
  }

  /** Resolves when nothing is under way, of what was cancelled too. */
  async settled(): Promise<void> {
    await this.#work;
  }
}
