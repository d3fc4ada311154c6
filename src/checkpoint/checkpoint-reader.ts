// Finds and reads checkpoints. Writes nothing, so it works on read-only storage.
//   N1. The newest checkpoint is found by the hint and existence probes upward from it. Listing is
//       a defence for when the hint is missing, damaged, or older than all that exists.
//   N2. An unreadable newest checkpoint is an error. Falling back to an older one is the caller's
//       explicit choice, by number or id.
//   N3. What the hint names was never deleted by an owner (S2 of completion-sequence.ts): where it does
//       not exist, and nothing newer does, it is the newest, and unreadable.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import { CheckpointNotFoundError, CorruptionError, UnsupportedFormatError } from "../errors.ts";
import { isClosed } from "../format/closed-sequence.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { stateIdOf } from "../format/key-codec.ts";
import { HINT_BYTES, decodeHint } from "../format/metadata-hint.ts";
import { METADATA_BYTES_MAX, decodeMetadata } from "../format/metadata.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import { savepointFormatOf } from "../format/savepoint.ts";
import {
  LATEST_NAME,
  METADATA_PREFIX,
  PINS_PREFIX,
  metadataName,
  numberOfMetadataName,
  numberOfPinName,
} from "./layout.ts";

/** A hint that is too long is damaged, not too large to read. */
const hintReadBytes = HINT_BYTES + 1;

export class CheckpointReader {
  readonly storage: CheckpointStorage;

  constructor(storage: CheckpointStorage) {
    this.storage = storage;
  }

  /** True if anything says that checkpoints were taken here: "new" would then be a loss. */
  async hasTrace(): Promise<boolean> {
    if ((await this.storage.size(LATEST_NAME)) !== undefined) return true;
    for await (const name of this.storage.list(METADATA_PREFIX)) {
      if (numberOfMetadataName(name) !== undefined) return true;
    }
    return false;
  }

  /** The number that the hint names; undefined if it is missing or damaged. */
  async readHint(): Promise<number | undefined> {
    const bytes = await this.storage.readRange(LATEST_NAME, 0, hintReadBytes);
    return bytes === undefined ? undefined : decodeHint(bytes);
  }

  /** Completion number of the newest checkpoint, which may be unreadable, or undefined if there is none. */
  async findNewest(): Promise<number | undefined> {
    const hinted = await this.readHint();
    if (hinted !== undefined && (await this.exists(hinted))) return this.#probeUp(hinted);
    const listed = await this.highestListed(); // N1
    if (listed === undefined) return this.#refuseLoss(hinted);
    // Subsumed since the hint was read, unless the hint is still the same (N3).
    const isGone = hinted !== undefined && hinted > listed && hinted === (await this.readHint());
    return isGone ? hinted : this.#probeUp(listed);
  }

  /** There is no metadata: a hint is written after some only, and any hint means that it is lost. */
  async #refuseLoss(hinted: number | undefined): Promise<undefined> {
    if (hinted === undefined) {
      if ((await this.storage.size(LATEST_NAME)) === undefined) return undefined;
      throw new CorruptionError("the hint is damaged and there is no metadata", LATEST_NAME, 0);
    }
    throw new CorruptionError(
      `the hint names ${metadataName(hinted)}, and no metadata exists`,
      LATEST_NAME,
      0,
    );
  }

  async exists(number: number): Promise<boolean> {
    return (await this.storage.size(metadataName(number))) !== undefined;
  }

  /** The highest number with metadata, by listing. */
  async highestListed(): Promise<number | undefined> {
    let highest: number | undefined;
    for await (const name of this.storage.list(METADATA_PREFIX)) {
      const number = numberOfMetadataName(name);
      if (number !== undefined && number > (highest ?? 0)) highest = number;
    }
    return highest;
  }

  /** Whether the job was cancelled, under this number: then no checkpoint can complete any more. */
  async isClosedAt(number: number): Promise<boolean> {
    const bytes = await this.#readMetadata(metadataName(number));
    return bytes !== undefined && isClosed(bytes, number);
  }

  /** The checkpoint with this completion number, verified. */
  async load(number: number): Promise<CheckpointMetadata> {
    const name = metadataName(number);
    const bytes = await this.#readMetadata(name);
    if (bytes === undefined) {
      if ((await this.readHint()) === number) {
        throw new CorruptionError("the metadata that the hint names is gone", name, 0); // N3
      }
      throw new CheckpointNotFoundError(`${name} does not exist in ${this.storage.description}`);
    }
    if (isClosed(bytes, number)) {
      throw new CheckpointNotFoundError(
        `the job of ${this.storage.description} was cancelled, and its checkpoints deleted`,
      );
    }
    const metadata = decodeMetadata(bytes, await loadFrameChecksum(), name);
    if (metadata.completionNumber !== number) {
      throw new CorruptionError(
        `the metadata is that of completion number ${metadata.completionNumber}`,
        name,
        0,
      );
    }
    requireStateIds(metadata, name);
    savepointFormatOf(metadata, name); // Refuses a mark that it does not know.
    return metadata;
  }

  /** The newest checkpoint; CheckpointNotFoundError if there is none (N2). */
  async loadNewest(): Promise<CheckpointMetadata> {
    const newest = await this.findNewest();
    if (newest !== undefined) return this.load(newest);
    throw new CheckpointNotFoundError(`there is no checkpoint in ${this.storage.description}`);
  }

  /** The retained checkpoint with this id. Unreadable ones are passed over, as the caller asked. */
  async findById(checkpointId: number): Promise<CheckpointMetadata> {
    const newest = await this.findNewest();
    let unreadable: unknown;
    let oldest = 1;
    let number = newest ?? 0;
    for (; number >= oldest; number--) {
      try {
        const metadata = await this.load(number);
        if (metadata.checkpointId === checkpointId) return metadata;
        oldest = Math.max(oldest, metadata.oldestRetained);
      } catch (error) {
        if (error instanceof CheckpointNotFoundError) break; // Below the oldest.
        if (!isUnreadable(error)) throw error;
        unreadable ??= error;
      }
    }
    for (const pinned of await this.pinnedBelow(number + 1)) {
      const metadata = await this.load(pinned);
      if (metadata.checkpointId === checkpointId) return metadata;
    }
    if (unreadable !== undefined) throw unreadable as Error;
    throw new CheckpointNotFoundError(
      `checkpoint ${checkpointId} is not retained in ${this.storage.description}`,
    );
  }

  /** Completion numbers below `oldest` of checkpoints that are kept by a pin, ascending. */
  async pinnedBelow(oldest: number): Promise<number[]> {
    const numbers: number[] = [];
    for await (const name of this.storage.list(PINS_PREFIX)) {
      const number = numberOfPinName(name);
      if (number === undefined || number >= oldest) continue;
      if (await this.exists(number)) numbers.push(number); // A pin may outlive it by a moment.
    }
    return numbers.sort((a, b) => a - b);
  }

  async #probeUp(start: number): Promise<number> {
    let newest = start;
    while (await this.exists(newest + 1)) newest++;
    return newest;
  }

  async #readMetadata(name: string): Promise<Uint8Array | undefined> {
    const size = await this.storage.size(name);
    if (size === undefined) return undefined;
    if (size > METADATA_BYTES_MAX) {
      throw new CorruptionError("the metadata is longer than metadata can be", name, 0);
    }
    return this.storage.read(name, METADATA_BYTES_MAX);
  }
}

/**
 * Rows are found by an id that is the hash of their state's name: under another one a state would be
 * empty, and its rows nobody's.
 */
function requireStateIds({ handles }: CheckpointMetadata, name: string): void {
  for (const { states } of handles) {
    const other = states.find((state) => state.id !== stateIdOf(state.name));
    if (other === undefined) continue;
    const quoted = JSON.stringify(other.name);
    throw new CorruptionError(`the state ${quoted} has the id of another name`, name, 0);
  }
}

/** True for bytes that this version cannot read, as opposed to storage that failed. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof CorruptionError || error instanceof UnsupportedFormatError;
}
