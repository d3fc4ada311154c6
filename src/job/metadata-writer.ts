// Writes the metadata of a job's checkpoints, and says what became of it.
//   M1. While the fate of a checkpoint's metadata is unknown the same bytes are written again: what
//       is found under the number later can then be told from another owner's.
//   M2. Pins are looked for once the metadata is durable (P1 of ../checkpoint/pins.ts), and what
//       could not be looked for counts as pinned.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { CheckpointPolicy, JsonValue } from "../api/keyed-state-backend.ts";
import { CompletionSequence } from "../checkpoint/completion-sequence.ts";
import { isPinned } from "../checkpoint/pins.ts";
import { MetadataVerifier } from "../checkpoint/verified-metadata.ts";
import type { WriteMetadata } from "../coordinator/events.ts";
import type { FencedError } from "../errors.ts";
import type { BackendKind, WriterEpoch } from "../format/metadata.ts";
import { checkUserMetadata } from "../format/metadata.ts";
import { type CheckpointTiming, encodeTiming } from "../format/timing.ts";

export interface JobDescription {
  readonly policy: CheckpointPolicy;
  readonly backendKind: BackendKind;
  readonly writerEpoch: WriterEpoch;
}

export type WriteOutcome =
  | { readonly type: "durable"; readonly isHintDurable: boolean }
  | { readonly type: "failed"; readonly isOutcomeKnown: boolean; readonly cause: unknown }
  | { readonly type: "fenced"; readonly error: FencedError };

export class MetadataWriter {
  readonly #storage: CheckpointStorage;
  readonly #environment: Environment;
  readonly #verifier: MetadataVerifier;
  readonly #job: JobDescription;
  readonly #sequence: CompletionSequence;
  /** Of the checkpoint that is being written, until its fate is known (M1). */
  #bytes: { readonly checkpointId: number; readonly bytes: Uint8Array } | undefined;

  constructor(storage: CheckpointStorage, environment: Environment, job: JobDescription) {
    this.#storage = storage;
    this.#environment = environment;
    this.#verifier = new MetadataVerifier(environment.timers);
    this.#job = job;
    this.#sequence = new CompletionSequence(storage);
  }

  async write(
    request: WriteMetadata,
    userMetadata: JsonValue,
    timing: CheckpointTiming,
  ): Promise<WriteOutcome> {
    const { checkpointId, completionNumber: number } = request;
    let bytes = this.#bytes?.checkpointId === checkpointId ? this.#bytes.bytes : undefined;
    try {
      bytes ??= await this.#encode(request, userMetadata, timing);
    } catch (cause) {
      return { type: "failed", isOutcomeKnown: true, cause };
    }
    this.#bytes = { checkpointId, bytes }; // M1
    const creation = await this.#sequence.create(number, bytes);
    if (creation.outcome === "failed") {
      return { type: "failed", isOutcomeKnown: creation.isKnown, cause: creation.cause };
    }
    try {
      if (creation.outcome === "exists") {
        const isOurs = (await this.#sequence.holderOf(number, [bytes])) === 0;
        if (!isOurs) return this.#fenced(`another owner has completed number ${number}`);
      }
      const other = await this.#sequence.overtakenBy(number, creation.hinted);
      if (other !== undefined) {
        await this.#sequence.withdraw(number);
        return this.#fenced(`another owner has completed number ${other}`);
      }
    } catch (cause) {
      return { type: "failed", isOutcomeKnown: false, cause };
    }
    this.#bytes = undefined;
    return { type: "durable", isHintDurable: await this.#sequence.publish(number) };
  }

  /** Those of the completion numbers that have a pin, or may have one (M2). */
  async pinned(numbers: readonly number[]): Promise<ReadonlySet<number>> {
    const pinned = new Set<number>();
    for (const number of numbers) {
      if (await isPinned(this.#storage, number).catch(() => true)) pinned.add(number);
    }
    return pinned;
  }

  #fenced(why: string): WriteOutcome {
    return { type: "fenced", error: this.#sequence.fencedError(why) };
  }

  async #encode(
    request: WriteMetadata,
    userMetadata: JsonValue,
    timing: CheckpointTiming,
  ): Promise<Uint8Array> {
    const { checkpointId, completionNumber, oldestRetained, handles } = request;
    const { policy, backendKind, writerEpoch } = this.#job;
    checkUserMetadata(userMetadata);
    return this.#verifier.encode({
      checkpointId,
      completionNumber,
      oldestRetained,
      writerEpoch,
      createdAtMs: Math.max(0, Math.floor(this.#environment.clock.wallMs())),
      policy,
      backendKind,
      handles: handles.filter((handle) => handle !== undefined),
      segments: [],
      userMetadata,
      extensions: encodeTiming(timing),
    });
  }
}
