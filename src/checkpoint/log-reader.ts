// Reads the log of a checkpoint's handles: the changes after its base. Page:
// docs/formats/changelog-segment.md#reading.
//   R1. Nothing of a segment is used before its length and SHA-256, as the handle names them, and all its
//       headers are verified; no row before it is checked.
//   R2. The batches of a handle are a chain from its base to its change number, without a gap.
//   R3. Changes come in the order of the chain, whichever thread has decoded them.
//   R4. A stored segment may be longer than a handle says; it is never written to.
import { join } from "node:path";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type {
  ChangelogHandle,
  KeyedStateHandle,
  SegmentHandle,
} from "../api/keyed-state-backend.ts";
import { CorruptionError } from "../errors.ts";
import type { GroupSpan } from "../format/changelog-check.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { runBounded } from "./bounded-work.ts";
import { requireFetchSpace } from "./fetch-space.ts";
import { fileName } from "./layout.ts";
import type { LocalFiles } from "./local-files.ts";
import { LogChain, type VerifiedSegment } from "./log-chain.ts";
import { type ChangeFrame, decodeChain } from "./log-frames.ts";

export type { ChangeFrame } from "./log-frames.ts";

/** Segments fetched and verified at a time. */
const concurrencyMax = 8;
/** Verified within the time that a trip to a worker takes. */
const SMALL_BYTES = 65_536;

export interface LogReaderOptions {
  readonly storage: CheckpointStorage;
  readonly pool: WorkerPool;
  readonly environment: Environment;
  /** Exists, and is the caller's to remove. Segments are put there, under names of this module. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
  /** Where segments may be at hand, and are kept. */
  readonly local?: LocalFiles | undefined;
}

/** The changes of one handle for one reader. May be iterated any number of times. */
export interface OpenedLog extends AsyncIterable<ChangeFrame> {
  /** Of the handle's segments, as it names them. */
  readonly logBytes: number;
  /** Batches of the chain. */
  readonly batchCount: number;
  /** Frames that the reader gets, and their raw bytes; and rows in all frames of the chain. */
  readonly frameCount: number;
  readonly rawBytes: number;
  readonly rowCount: number;
}

/** Total length of the segments that a log names. */
export function logBytesOf(log: ChangelogHandle | undefined): number {
  return log?.segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0) ?? 0;
}

/** Reads logs of several handles: a segment that they share is fetched once, and verified once. */
export class LogReader {
  readonly #options: LogReaderOptions;
  readonly #fetched = new Map<string, Promise<string>>();
  readonly #verified = new Map<string, Promise<VerifiedSegment>>();

  constructor(options: LogReaderOptions) {
    this.#options = options;
  }

  /**
   * Fetches and verifies the segments of a handle's log. CorruptionError names the first one that is
   * missing, cut, damaged, or not the next of the chain. A handle without a log has no changes.
   */
  async open(handle: KeyedStateHandle, keyGroups: GroupSpan): Promise<OpenedLog> {
    const { storage, environment, directory, pool, signal, local } = this.#options;
    const segments = handle.log?.segments ?? [];
    const isMissing = (id: string): boolean => !this.#fetched.has(id) && local?.has(id) !== true;
    const missing = segments.filter(({ id }) => isMissing(id));
    await requireFetchSpace(storage, environment.fileSystem, directory, missing); //# fail point: restore.log-space-checked
    const verified = new Map<SegmentHandle, VerifiedSegment>();
    await runBounded(segments, concurrencyMax, signal, async (segment) => {
      verified.set(segment, await this.#verify(segment));
    });
    const chain = new LogChain(handle, keyGroups);
    for (const segment of segments) chain.add(verified.get(segment)!);
    chain.finish();
    const { batchCount, frameCount, rawBytes, rowCount } = chain;
    const counts = { batchCount, frameCount, rawBytes, rowCount };
    return {
      logBytes: logBytesOf(handle.log),
      ...counts,
      [Symbol.asyncIterator]: () => decodeChain(chain, pool, signal),
    };
  }

  #verify(segment: SegmentHandle): Promise<VerifiedSegment> {
    const { id, lengthBytes, sha256 } = segment;
    const { local, signal } = this.#options;
    return once(this.#verified, `${id} ${lengthBytes} ${sha256}`, async () => {
      await this.#checkStored(segment);
      const verifyAt = (path: string): Promise<VerifiedSegment> => this.#verifyAt(path, segment);
      const atHand = await local?.takeSegment(id, verifyAt, signal);
      if (atHand !== undefined) return atHand;
      const path = await once(this.#fetched, id, () => this.#fetch(id));
      const verified = await verifyAt(path); //# fail point: restore.segment-verified
      await local?.keepFile(id, path);
      return verified;
    });
  }

  async #verifyAt(path: string, segment: SegmentHandle): Promise<VerifiedSegment> {
    const { id, lengthBytes, sha256 } = segment;
    const { pool, signal } = this.#options;
    const file = fileName(id);
    const isSmall = lengthBytes <= SMALL_BYTES;
    const request = { path, lengthBytes, sha256, file };
    const found = await pool.submit("verifySegment", request, { signal, isSmall });
    return { path, file, ...found };
  }

  async #fetch(id: string): Promise<string> {
    const { storage, directory, signal } = this.#options;
    const path = join(directory, `segment-${id}`);
    await storage.fetchFile(fileName(id), path, { signal }); //# fail point: restore.segment-fetched
    return path;
  }

  /** Before anything is transferred (R4). */
  async #checkStored({ id, lengthBytes }: SegmentHandle): Promise<void> {
    const name = fileName(id);
    const size = await this.#options.storage.size(name);
    if (size === undefined) {
      throw new CorruptionError("the checkpoint references a segment that does not exist", name, 0);
    }
    if (size >= lengthBytes) return;
    const what = `the stored segment has ${size} bytes of ${lengthBytes}`;
    throw new CorruptionError(what, name, size);
  }
}

export interface OpenLogRequest extends LogReaderOptions {
  readonly handle: KeyedStateHandle;
  /** Of the reader; both ends inclusive. */
  readonly keyGroups: GroupSpan;
}

/** As a LogReader does, of one handle. */
export async function openLog(request: OpenLogRequest): Promise<OpenedLog> {
  return new LogReader(request).open(request.handle, request.keyGroups);
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
