// The log of one backend: batches without a gap, from a cut on.
//   H1. A batch begins where the one before ended. Boundaries and change numbers only grow.
//   H2. It is over once an append failed, or a segment was given up before all batches of this backend
//       in it were synced. Nothing is appended then.
//   H3. While a batch is being read from the arena its chunks stay: the ledger knows what was handed
//       over, and hears of the end only when nothing is under way any more.
import type { KeyGroupRange, LoggedBytes, SegmentHandle } from "../api/keyed-state-backend.ts";
import type { Clock } from "../api/environment.ts";
import type { Appended, LogWriter, Segment } from "../changelog/log-writer.ts";
import { ProgressBlock } from "../changelog/progress-block.ts";
import { assert } from "../common/assert.ts";
import { StorageError } from "../errors.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";

export interface ChainOptions {
  readonly writer: LogWriter;
  readonly buffer: WriteBuffer;
  readonly clock: Clock;
  readonly keyGroups: KeyGroupRange;
  readonly changeNumberBase: number;
  readonly segmentBytes: number;
  /** Something was appended: what waits for it may go on. */
  readonly onAppended: () => void;
  /** A segment is durable up to here. */
  readonly onSynced: (synced: SegmentHandle, bytes: Uint8Array | undefined) => void;
}

/** A segment with batches of this backend. */
interface ChainSegment {
  readonly id: string;
  /** Undefined: restored or merged, and not appended to. */
  readonly segment: Segment | undefined;
  readonly stored: SegmentHandle | undefined;
  /** Change number of the newest batch in it, and where that ends. */
  lastChange: number;
  endBytes: number;
}

/** One segment that holds what several of a chain do, which stand together. */
export interface MergedSegment {
  readonly handle: SegmentHandle;
  /** Ids, in their order. */
  readonly parts: readonly string[];
}

/** A run of segments that are worth being put together. */
export interface WantedRun {
  /** Each is shorter. */
  readonly bytes: number;
  readonly countMin: number;
  /** Of all, but where `countMin` have more. */
  readonly totalBytesMax: number;
}

/** What a checkpoint says of the log. */
export interface LogPart {
  readonly segments: readonly SegmentHandle[];
  /** Bytes of batches that a restore replays. */
  readonly logBytes: number;
}

export class ChangelogChain {
  readonly startChange: number;
  readonly #options: ChainOptions;
  readonly #progress = new ProgressBlock();
  #segments: ChainSegment[];
  /** Those after the oldest base that is still named. */
  #batches: { readonly change: number; readonly lengthBytes: number }[] = [];
  #boundary: number;
  #change: number;
  #newest: Promise<Appended> | undefined;
  #underWay = 0;
  #isOver = false;
  #logged: LoggedBytes = { bytes: 0, rawBytes: 0 };
  appends = 0;
  appendedRows = 0;
  appendedBytes = 0;

  /**
   * Everything up to `boundary`, which is sealed, is in the base or in the restored segments; `change`
   * is the change number where the next batch begins, `startChange` where the first one began.
   */
  constructor(
    options: ChainOptions,
    boundary: number,
    change: number,
    startChange: number = change,
    restored: readonly SegmentHandle[] = [],
  ) {
    this.#options = options;
    this.#boundary = boundary;
    this.#change = change;
    this.startChange = startChange;
    this.#segments = restored.map((handle) => ({
      id: handle.id,
      segment: undefined,
      stored: handle,
      lastChange: change,
      endBytes: handle.lengthBytes,
    }));
    // Which of the restored bytes are of which batch is not known: all count until there is a base.
    const lengthBytes = restored.reduce((sum, handle) => sum + handle.lengthBytes, 0);
    if (restored.length > 0) this.#batches.push({ change, lengthBytes });
    options.buffer.ledger.markAppended(boundary);
  }

  /** Whether it can go on (H2). */
  get isWhole(): boolean {
    if (this.#isOver) return false;
    const last = this.#segments.at(-1);
    return last === undefined || last.segment?.isAbandoned !== true || isCovered(last);
  }

  /** Nothing of it is being read any more. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  /** Newest boundary that is appended; Infinity once it is over, when nothing needs to be. */
  get appended(): number {
    this.#poll();
    if (!this.isWhole) this.end(); // Another task has given up the segment: nothing would follow (H2).
    if (this.#isOver && this.isIdle) return Infinity;
    return this.#options.buffer.ledger.appended;
  }

  /** Appends what changed since the last batch; `boundary` is sealed. Rejects with a typed error. */
  append(boundary: number, isSynced: boolean): Promise<Appended> {
    if (!this.isWhole) return Promise.reject(givenUp());
    assert(boundary > this.#boundary, "H1: a batch of nothing");
    const { buffer, keyGroups, changeNumberBase, writer, segmentBytes } = this.#options;
    const { ledger } = buffer;
    const chunks = ledger.extents(this.#boundary, boundary);
    ledger.appendRequested = boundary; // H3
    const afterChange = this.#change;
    const upToChange = changeNumberBase + boundary;
    this.#boundary = boundary;
    this.#change = upToChange;
    this.#underWay++;
    const task = {
      chunks,
      boundary,
      keyGroups,
      afterChange,
      upToChange,
      progress: this.#progress.buffer,
    };
    const result = writer.append(task, isSynced, segmentBytes).then(
      (appended) => this.#done(appended, upToChange),
      (error: unknown) => this.#failed(error),
    );
    result.catch(() => undefined); // The next checkpoint tells, if nobody awaits this one.
    this.#newest = result;
    return result;
  }

  /** Sees to it that everything up to the boundary, which is sealed, is appended. */
  cover(boundary: number): void {
    if (boundary > this.#boundary && this.isWhole) void this.append(boundary, false);
  }

  #done(appended: Appended, upToChange: number): Appended {
    const { segment, lengthBytes, endBytes } = appended;
    let entry = this.#segments.at(-1);
    if (entry?.id !== segment.id) {
      const { id } = segment;
      entry = { id, segment, stored: undefined, lastChange: 0, endBytes: 0 };
      this.#segments.push(entry);
    }
    assert(upToChange > entry.lastChange, "H1: batches went backwards");
    entry.lastChange = upToChange;
    entry.endBytes = endBytes;
    if (appended.synced !== undefined) this.#options.onSynced(appended.synced, appended.bytes);
    this.#batches.push({ change: upToChange, lengthBytes });
    this.appends++;
    this.appendedRows += appended.rowCount;
    this.appendedBytes += lengthBytes;
    const { bytes, rawBytes } = this.#logged;
    this.#logged = { bytes: bytes + lengthBytes, rawBytes: rawBytes + appended.rawBytes };
    this.#ended();
    return appended;
  }

  /** What was appended since the last call. */
  takeLogged(): LoggedBytes {
    const logged = this.#logged;
    this.#logged = { bytes: 0, rawBytes: 0 };
    return logged;
  }

  #failed(error: unknown): never {
    this.#isOver = true;
    this.#ended();
    throw error;
  }

  #ended(): void {
    this.#underWay--;
    this.#poll();
    this.#giveBack();
    this.#options.onAppended();
  }

  /** H3 */
  #giveBack(): void {
    if (this.#isOver && this.isIdle) this.#options.buffer.ledger.endAppends();
  }

  /** It is over: a checkpoint was given up that alone knew a segment, or the segment itself was. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const last = this.#segments.at(-1)?.segment;
    if (last !== undefined) this.#options.writer.abandon(last);
    this.#giveBack();
  }

  #poll(): void {
    const { ledger } = this.#options.buffer;
    const { appended } = this.#progress;
    if (appended > ledger.appended) ledger.markAppended(appended);
  }

  /** The segments after a base, whose newest batch is `appended`; `merged` stands for its parts. */
  logAfter(baseChange: number, appended: Appended, merged?: MergedSegment): LogPart {
    const entries = this.#segments.slice(
      0,
      this.#segments.findIndex(({ id }) => id === appended.segment.id) + 1,
    );
    const segments: SegmentHandle[] = [];
    for (const entry of entries) {
      const isNewest = entry.id === appended.segment.id;
      if (entry.lastChange <= baseChange && !isNewest) continue;
      if (merged?.parts.includes(entry.id) === true) {
        if (entry.id === merged.parts[0]) segments.push(merged.handle);
        continue;
      }
      const handle = isNewest ? appended.synced : durable(entry);
      if (handle === undefined || (!isNewest && !isCovered(entry))) {
        this.end();
        throw givenUp();
      }
      segments.push(handle);
    }
    return { segments, logBytes: this.#bytesAfter(baseChange) };
  }

  #bytesAfter(change: number): number {
    let bytes = 0;
    for (const batch of this.#batches) if (batch.change > change) bytes += batch.lengthBytes;
    return bytes;
  }

  /** Forgets segments that only hold what a base holds, but not the one that goes on. */
  trim(baseChange: number): void {
    const last = this.#segments.at(-1);
    this.#segments = this.#segments.filter((one) => one === last || one.lastChange > baseChange);
    this.#batches = this.#batches.filter(({ change }) => change > baseChange);
  }

  /**
   * The first run of segments above the base as wanted that `isKnown` accepts and that nothing is appended
   * to; empty if there is none.
   */
  smallSegments(
    baseChange: number,
    { bytes, countMin, totalBytesMax }: WantedRun,
    isKnown: (id: string) => boolean,
  ): readonly SegmentHandle[] {
    let run: SegmentHandle[] = [];
    let totalBytes = 0;
    for (const entry of this.#segments.slice(0, -1)) {
      const handle = isCovered(entry) ? durable(entry) : undefined;
      const isSmall =
        handle !== undefined &&
        handle.lengthBytes < bytes &&
        entry.lastChange > baseChange &&
        isKnown(entry.id);
      if (!isSmall && run.length >= countMin) return run;
      totalBytes = isSmall ? totalBytes + handle.lengthBytes : 0;
      if (totalBytes > totalBytesMax && run.length >= countMin) return run;
      if (isSmall) run.push(handle);
      else run = [];
    }
    return run.length >= countMin ? run : [];
  }

  /** Whether it still has all parts of the segment: those before a base go. */
  hasParts({ parts }: MergedSegment): boolean {
    return parts.every((id) => this.names(id));
  }

  /** From now on the segment is named in the place of its parts. */
  replace({ parts, handle }: MergedSegment): void {
    const first = this.#segments.findIndex(({ id }) => id === parts[0]);
    const replaced = this.#segments.slice(first, first + parts.length);
    const isThere = replaced.every(({ id }, index) => id === parts[index]);
    assert(first >= 0 && isThere && replaced.length === parts.length, "H1: merged parts are gone");
    const { id, lengthBytes: endBytes } = handle;
    const { lastChange } = replaced.at(-1)!;
    const merged = { id, segment: undefined, stored: handle, lastChange, endBytes };
    this.#segments.splice(first, parts.length, merged);
  }

  names(id: string): boolean {
    return this.#segments.some((segment) => segment.id === id);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  /** Never rejects. */
  async settled(): Promise<void> {
    this.#options.writer.flush();
    await this.#newest?.catch(() => undefined);
  }

  /** Blocks until the boundary is appended; false if that cannot be, or takes longer. */
  wait(boundary: number, timeoutMs: number): boolean {
    const { writer, clock } = this.#options;
    writer.flush();
    if (!writer.isThread || writer.isWaiting) return this.appended >= boundary;
    const startMs = clock.monotonicMs();
    for (;;) {
      const changes = this.#progress.changes;
      if (this.appended >= boundary) return true;
      const leftMs = timeoutMs - (clock.monotonicMs() - startMs);
      if (this.#progress.isFailed || leftMs <= 0) return false;
      this.#progress.wait(changes, leftMs);
    }
  }
}

function durable({ stored, segment }: ChainSegment): SegmentHandle | undefined {
  return stored ?? segment?.synced;
}

/** Whether what is durable of the segment holds all batches of this backend. */
function isCovered(entry: ChainSegment): boolean {
  return entry.stored !== undefined || (durable(entry)?.lengthBytes ?? 0) >= entry.endBytes;
}

function givenUp(): StorageError {
  return new StorageError(
    "a changelog segment was given up with changes in it; the next checkpoint holds everything",
    { retriable: true },
  );
}
