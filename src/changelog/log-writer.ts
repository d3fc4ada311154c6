// The segments that backends of one process append to in one storage.
//   L1. Appends that are asked for in one turn of the event loop are one group: one write, and at most
//       one data sync, whatever the number of backends. But what a backend appends after its checkpoint is
//       not in that one's group: the synced length would take it in.
//   L2. A segment ends with a synced batch, so that whoever has batches in it finds its final length
//       and hash.
//   L3. After a failure the segment takes nothing more, and everybody who has batches in it that are
//       not synced is told.
//   L4. The thread is told to create the next segment while the current one takes batches: a caller that
//       blocks cannot wait for a path. What is appended to a segment follows its creation in the thread's queue.
//   L5. Segments are open only while somebody is attached: whoever opens the storage anew takes files that
//       no checkpoint names for left behind.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { SegmentHandle } from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { FILE_ID_BYTES } from "../format/file-list.ts";
import { toHex } from "../format/hex.ts";
import type { AppendCallKind, AppendCalls, AppendTask, AppendedGroup } from "./append-protocol.ts";
import type { Appender } from "./append-thread.ts";

/** A segment as its owners see it. */
export interface Segment {
  readonly id: string;
  /** Of what is durable; undefined while nothing is. */
  readonly synced: SegmentHandle | undefined;
  /** Takes nothing more because something failed, or a checkpoint was given up. */
  readonly isAbandoned: boolean;
}

export interface Appended {
  readonly segment: Segment;
  /** The segment up to this batch and those of its group, if they were synced. */
  readonly synced: SegmentHandle | undefined;
  /** All of it, if it was synced and is a whole object. */
  readonly bytes: Uint8Array | undefined;
  readonly rowCount: number;
  /** Bytes of the batch, and of the rows in it before compression. */
  readonly lengthBytes: number;
  readonly rawBytes: number;
  /** Length of the segment with this batch and those of its group. */
  readonly endBytes: number;
  readonly appendMs: number;
  readonly syncMs: number;
}

export interface LogWriterOptions {
  readonly environment: Environment;
  readonly storage: CheckpointStorage;
  readonly appender: Appender;
  /** Name of a segment in the storage. */
  readonly nameOf: (id: string) => string;
}

/**
 * Of what was appended ahead of a checkpoint, so many bytes are synced when they are written: it finds less to
 * sync. Of small segments a quarter.
 */
const SYNC_AHEAD_BYTES = 4_194_304;

class OpenSegment implements Segment {
  readonly id: string;
  readonly number: number;
  lengthBytes = 0;
  synced: SegmentHandle | undefined = undefined;
  isAbandoned = false;
  /** Whether it is a file that grows. */
  isFile = true;
  /** The thread was told to create it, or there is no path. */
  named: Promise<void> = Promise.resolve();
  isNamed = false;
  readonly epoch: number;

  constructor(id: string, number: number, epoch: number) {
    this.id = id;
    this.number = number;
    this.epoch = epoch;
  }
}

interface Pending {
  readonly task: AppendTask;
  readonly isSynced: boolean;
  readonly segmentBytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  #pending: Pending[] = [];
  #current: OpenSegment | undefined;
  #next: OpenSegment | undefined;
  /** Requests that wait until their segment has a path, and all behind them. */
  #waiting = 0;
  #attached = 0;
  #posted: Promise<void> = Promise.resolve();
  #settled: Promise<void> = Promise.resolve();
  segments = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Somebody is going to append. */
  attach(): void {
    this.#attached++;
  }

  /**
   * Begins the first segments, and with them the thread: a caller that blocks need not wait for a path then.
   * Resolves also if they cannot be created: the first append tells.
   */
  async prepare(): Promise<void> {
    assert(this.#attached > 0, "L5: a segment that nobody is attached to");
    this.#current ??= this.#takeNext();
    await Promise.allSettled([this.#current.named, this.#next?.named]);
  }

  /** The last one takes the segments with it, and those that nothing was synced to are removed (L5). */
  async detach(): Promise<void> {
    assert(this.#attached > 0, "L5: detached more often than attached");
    if (--this.#attached === 0) await this.#closeAll();
  }

  /** Whether something that was asked for is handed over in a later turn only. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** Whether appends go on while the calling thread blocks. */
  get isThread(): boolean {
    return this.#options.appender.isThread;
  }

  /**
   * Appends a batch; with `isSynced` it is durable when the promise resolves. `segmentBytes`: length at
   * which the segment ends.
   */
  append(task: AppendTask, isSynced: boolean, segmentBytes: number): Promise<Appended> {
    const isBehindCheckpoint = this.#pending.some(
      (one) => one.isSynced && one.task.progress === task.progress,
    );
    if (isBehindCheckpoint) this.flush(); // L1
    return new Promise((resolve, reject) => {
      this.#pending.push({ task, isSynced, segmentBytes, resolve, reject });
      if (this.#pending.length === 1) queueMicrotask(() => this.flush());
    });
  }

  /** Ends the segment without another batch. It goes on for those who have batches in it. */
  abandon(segment: Segment): void {
    const open = segment as OpenSegment;
    if (open.isAbandoned) return;
    open.isAbandoned = true;
    if (this.#current === open) this.#current = undefined;
    if (this.#next === open) this.#next = undefined;
    this.#close(open);
  }

  /** Hands what was asked for to the thread now (L1): for callers about to block. */
  flush(): void {
    const group = this.#pending;
    if (group.length === 0) return;
    this.#pending = [];
    this.#abandonLost();
    const segment = (this.#current ??= this.#takeNext());
    const segmentBytes = Math.min(...group.map((one) => one.segmentBytes));
    const isFull = segment.lengthBytes >= segmentBytes;
    const isSynced = isFull || group.some((one) => one.isSynced); // L2
    const isLast = isFull || (isSynced && !segment.isFile);
    if (isLast) this.#current = undefined;
    const written = this.#post(segment, "append", {
      segment: segment.number,
      tasks: group.map(({ task }) => task),
      isSynced,
      syncAheadBytes: Math.min(SYNC_AHEAD_BYTES, segmentBytes / 4),
    });
    this.#track(this.#finish(segment, group, written));
    if (isLast) this.#close(segment);
  }

  /** Segments that were open in a thread that has ended. */
  #abandonLost(): void {
    for (const segment of [this.#current, this.#next]) {
      if (segment !== undefined && segment.epoch !== this.#options.appender.epoch) {
        this.abandon(segment);
      }
    }
  }

  /** In the order of the calls; at once, in this call, unless a segment has no path yet. */
  #post<K extends AppendCallKind>(
    segment: OpenSegment,
    kind: K,
    request: AppendCalls[K]["request"],
  ): Promise<AppendCalls[K]["result"]> {
    const { appender } = this.#options;
    if (segment.isNamed && this.#waiting === 0) return appender.call(kind, request);
    this.#waiting++;
    const posted = this.#posted
      .then(() => segment.named)
      .then(() => ({ answer: appender.call(kind, request) })); // Wrapped: not awaited here.
    const gone = (): void => {
      this.#waiting--;
    };
    this.#posted = posted.then(gone, gone);
    return posted.then(({ answer }) => answer);
  }

  #track(work: Promise<unknown>): void {
    const before = this.#settled;
    const done = work.then(
      () => undefined,
      () => undefined, // Told to whom it matters.
    );
    this.#settled = before.then(() => done);
  }

  #takeNext(): OpenSegment {
    const next = this.#next ?? this.#begin();
    this.#next = this.#begin(); // L4
    return next;
  }

  #begin(): OpenSegment {
    const { environment, storage, appender, nameOf } = this.#options;
    const segment = new OpenSegment(
      toHex(environment.random.bytes(FILE_ID_BYTES)),
      appender.nextSegment(),
      appender.epoch,
    );
    this.segments++;
    segment.isFile = storage.pathForAppending !== undefined;
    segment.named = (async () => {
      const path = await storage.pathForAppending?.(nameOf(segment.id)); //# fail point: changelog.segment-named
      const created = appender.call("create", { segment: segment.number, path });
      created.catch(() => undefined); // Told by the first append.
      segment.isNamed = true;
    })();
    segment.named.catch(() => undefined); // Told by the first append.
    return segment;
  }

  async #finish(
    segment: OpenSegment,
    group: readonly Pending[],
    written: Promise<AppendedGroup>,
  ): Promise<void> {
    try {
      const result = await written;
      segment.lengthBytes = result.lengthBytes;
      const synced = await this.#synced(segment, result); //# fail point: changelog.segment-synced
      if (synced !== undefined) segment.synced = synced;
      for (const [index, { resolve }] of group.entries()) {
        const { rowCount, lengthBytes, rawBytes } = result.tasks[index]!;
        const { appendMs, syncMs, bytes } = result;
        const endBytes = result.lengthBytes;
        const batch = { rowCount, lengthBytes, rawBytes };
        resolve({ segment, synced, bytes, ...batch, endBytes, appendMs, syncMs });
      }
    } catch (error) {
      this.abandon(segment); // L3
      for (const { reject } of group) reject(error);
    }
  }

  async #synced(segment: OpenSegment, result: AppendedGroup): Promise<SegmentHandle | undefined> {
    const { sha256, bytes, lengthBytes } = result;
    if (sha256 === undefined) return undefined;
    const { storage, nameOf } = this.#options;
    if (!segment.isFile) await storage.putBytes(nameOf(segment.id), bytes!);
    return { id: segment.id, lengthBytes, sha256 };
  }

  #close(segment: OpenSegment): void {
    // Everything that counts was synced before; one that was never created has nothing to close.
    this.#track(this.#post(segment, "close", { segment: segment.number }));
  }

  /** Resolves when all that was asked for so far is done or has failed. */
  async settled(): Promise<void> {
    this.flush();
    await this.#settled;
  }

  async #closeAll(): Promise<void> {
    this.flush();
    const open = [this.#current, this.#next].filter((one) => one !== undefined);
    this.#current = undefined;
    this.#next = undefined;
    for (const segment of open) this.#close(segment);
    await this.#settled;
    const { storage, nameOf } = this.#options;
    const unused = open.filter((one) => one.synced === undefined).map(({ id }) => nameOf(id));
    // Whoever opens the storage next removes what is left.
    await storage.delete(unused).catch(() => undefined); //# fail point: changelog.unused-deleted
  }
}
