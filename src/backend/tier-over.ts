// A tier that is another one but for how checkpoints are taken: all else goes to that one.
import type { SavepointFormat, SnapshotResult, StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import type { FileSink } from "../checkpoint/base-writer.ts";
import type { Tier } from "./tier.ts";

export abstract class TierOver {
  readonly kind: Tier["kind"];
  readonly #below: Tier;

  constructor(below: Tier) {
    this.kind = below.kind;
    this.#below = below;
  }

  beginSavepoint(
    format: SavepointFormat,
    sink: Promise<FileSink>,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    return this.#below.beginSavepoint(format, sink, signal);
  }

  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key> {
    return this.#below.scanKeys(schema, namespace);
  }

  prefetch(keys: readonly Key[]): Promise<void> {
    return this.#below.prefetch(keys);
  }

  get needsDrain(): boolean {
    return this.#below.needsDrain;
  }

  drained(signal: AbortSignal): Promise<void> {
    return this.#below.drained(signal);
  }

  relieve(): void {
    this.#below.relieve();
  }
}
