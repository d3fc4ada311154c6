// Metadata under completion numbers: what decides that a checkpoint exists, and who owns the job.
//   S1. Creating number N+1 is the fence: whoever finds it taken by another is fenced, and so is a
//       creator that then reads a hint beyond its number.
//   S2. Metadata from the durable hint upward is never deleted, so probing upward from the hint
//       finds the newest, and S1 holds for numbers that are already deleted.
//   S3. Whether a failed creation took effect is unknown until the number is decided: by finding it
//       taken, or by taking it.
import type { CheckpointStorage, ReadAfter } from "../api/checkpoint-storage.ts";
import { FencedError, NoSpaceError } from "../errors.ts";
import { encodeClosed } from "../format/closed-sequence.ts";
import { HINT_BYTES, decodeHint, encodeHint } from "../format/metadata-hint.ts";
import { METADATA_BYTES_MAX } from "../format/metadata.ts";
import { CheckpointReader } from "./checkpoint-reader.ts";
import { LATEST_NAME, metadataName } from "./layout.ts";

/** What became of one attempt to create metadata. */
export type Creation =
  /** `hinted`: what the hint named after that; undefined if it is not known. */
  | { readonly outcome: "created" | "exists"; readonly hinted?: number | undefined }
  /** `isKnown`: it has not taken effect, and never will (S3). */
  | { readonly outcome: "failed"; readonly isKnown: boolean; readonly cause: unknown };

export class CompletionSequence {
  readonly #storage: CheckpointStorage;
  readonly #reader: CheckpointReader;

  constructor(storage: CheckpointStorage) {
    this.#storage = storage;
    this.#reader = new CheckpointReader(storage);
  }

  /** Tries to take the number. What is visible after a failure is made durable. */
  async create(number: number, bytes: Uint8Array): Promise<Creation> {
    const name = metadataName(number);
    try {
      return await this.#create(name, bytes);
    } catch (cause) {
      const isVisible = await this.#reader.exists(number).catch(() => undefined);
      // A full disk wrote nothing. Any other failed request may still arrive, at an object store.
      const isKnown = isVisible === false && cause instanceof NoSpaceError;
      if (isVisible !== true) return { outcome: "failed", isKnown, cause };
    }
    try {
      return await this.#create(name, bytes);
    } catch (cause) {
      return { outcome: "failed", isKnown: false, cause };
    }
  }

  async #create(name: string, bytes: Uint8Array): Promise<Creation> {
    // One that is longer is damaged.
    const hint: ReadAfter = { name: LATEST_NAME, maxBytes: HINT_BYTES, bytes: undefined };
    const outcome = await this.#storage.createIfAbsent(name, bytes, hint);
    return { outcome, hinted: hint.bytes === undefined ? undefined : decodeHint(hint.bytes) };
  }

  /** Which of `ours` holds the number, which is taken: its index, or -1 if another owner does. */
  async holderOf(number: number, ours: readonly Uint8Array[]): Promise<number> {
    const stored = await this.#storage.read(metadataName(number), METADATA_BYTES_MAX);
    if (stored === undefined) return -1; // Deleted again: by an owner that is ahead.
    return ours.findIndex((bytes) => Buffer.compare(stored, bytes) === 0);
  }

  /**
   * A number beyond this one, which we have just created, that another owner has completed;
   * undefined if there is none. If there is, ours does not count and has to be withdrawn (S1).
   * `hinted`: what the hint is known to have named after the creation.
   */
  async overtakenBy(number: number, hinted?: number): Promise<number | undefined> {
    const reader = this.#reader;
    const newest = hinted ?? (await reader.readHint()) ?? (await reader.highestListed());
    return newest === undefined || newest <= number ? undefined : newest;
  }

  async withdraw(number: number): Promise<void> {
    await this.#storage.delete([metadataName(number)]);
  }

  /** Writes the hint. False if that fails: readers probe upward, but nothing may be deleted (S2). */
  async publish(number: number): Promise<boolean> {
    try {
      await this.#storage.replace(LATEST_NAME, encodeHint(number)); //# fail point: sequence.hint-replaced
      return true;
    } catch {
      return false; // Counted by the caller; losing a hint loses nothing.
    }
  }

  /**
   * Takes the number, so that no owner can complete a checkpoint any more. False if another owner has
   * taken it. Rejects if it is not certain; repeating it with the same epoch does no harm.
   */
  async close(number: number, epochId: string): Promise<boolean> {
    const bytes = encodeClosed(number, epochId);
    const creation = await this.create(number, bytes); //# fail point: sequence.closing
    if (creation.outcome === "failed") throw creation.cause as Error;
    if (creation.outcome === "exists" && (await this.holderOf(number, [bytes])) < 0) return false;
    if ((await this.overtakenBy(number, creation.hinted)) !== undefined) {
      await this.withdraw(number);
      return false;
    }
    await this.#storage.replace(LATEST_NAME, encodeHint(number)); // S2 //# fail point: sequence.hint-replaced-2
    return true;
  }

  /** What whoever is fenced is told. */
  fencedError(why: string): FencedError {
    return new FencedError(`${why} in ${this.#storage.description}: this one must stop`);
  }
}
