// Verifies the logs of a checkpoint's handles.
//   L1. Each segment is hashed once at each length that a handle names: that all of them match says that the
//       shorter bytes begin the longer.
//   L2. Of a handle whose segments are intact the chain of batches is checked too: a gap is damage of the
//       segment where it shows.
//   L3. With rows each frame is decoded by itself, so that all damaged ones are named, with their key groups.
import type { SegmentHandle } from "../api/keyed-state-backend.ts";
import { fileName } from "../checkpoint/layout.ts";
import { LogChain, type VerifiedSegment } from "../checkpoint/log-chain.ts";
import { systemCodeOf } from "../environment/typed-error.ts";
import { CorruptionError } from "../errors.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { BasePart } from "./base-part.ts";
import { prefixKeyOf } from "./checkpoint-files.ts";
import { checkLogRows } from "./log-check.ts";
import { storedSegment, verifyStoredSegment } from "./log-source.ts";
import type { Groups } from "./row-source.ts";

/** Something wrong with a log, where and what it hits. */
export interface LogFault {
  readonly id: string;
  readonly keyGroups: Groups;
  readonly error: unknown;
}

export class LogVerification {
  readonly #pool: WorkerPool;
  readonly #found = new Map<
    string,
    { readonly segment?: VerifiedSegment; readonly error?: unknown }
  >();

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  /** Never rejects for what is wrong with the bytes: `faultsOf` tells. */
  async read(part: BasePart, segment: SegmentHandle, signal: AbortSignal): Promise<void> {
    try {
      this.#found.set(prefixKeyOf(segment), { segment: await this.#verify(part, segment, signal) });
    } catch (error) {
      if (signal.aborted) throw error;
      this.#found.set(prefixKeyOf(segment), { error });
    }
  }

  async #verify(
    { storage }: BasePart,
    segment: SegmentHandle,
    signal: AbortSignal,
  ): Promise<VerifiedSegment> {
    const { id, lengthBytes, sha256 } = segment;
    const file = fileName(id);
    const path = storage.locate?.(file);
    if (path !== undefined) {
      try {
        const request = { path, lengthBytes, sha256, file };
        return { path, file, ...(await this.#pool.submit("verifySegment", request, { signal })) };
      } catch (error) {
        // Gone, or in another environment than ours: the storage knows.
        const { cause } = error as { readonly cause?: unknown };
        if (systemCodeOf(cause) !== "ENOENT") throw error;
      }
    }
    const stop = (): void => signal.throwIfAborted();
    return verifyStoredSegment(storedSegment(storage, segment), segment, stop);
  }

  /** What is wrong with the segments of a handle, all of which were read, or with their chain (L2). */
  faultsOf({ handle }: BasePart): readonly LogFault[] {
    const { first, last } = handle.keyGroups;
    const keyGroups = { first, last };
    const faults: LogFault[] = [];
    const chain = new LogChain(handle, keyGroups);
    const segments = handle.log?.segments ?? [];
    for (const { id, ...rest } of segments) {
      const { segment, error } = this.#found.get(prefixKeyOf({ id, ...rest }))!;
      if (segment === undefined) faults.push({ id, keyGroups, error });
    }
    if (faults.length > 0 || segments.length === 0) return faults;
    let at = segments[0]!;
    try {
      for (const segment of segments) {
        at = segment;
        chain.add(this.#found.get(prefixKeyOf(segment))!.segment!);
      }
      chain.finish();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      faults.push({ id: at.id, keyGroups, error });
    }
    return faults;
  }

  /** What is wrong with frames and rows of a log that is intact otherwise (L3). */
  async rowFaultsOf(part: BasePart, checkStop: () => void): Promise<readonly LogFault[]> {
    if (part.handle.log === undefined) return [];
    return checkLogRows(await part.log(), checkStop);
  }
}
