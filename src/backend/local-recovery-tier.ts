// A tier whose checkpoints' files are kept for local recovery: tells which of them are in use.
import type { SavepointFormat, SnapshotResult, StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import type { FileSink } from "../checkpoint/base-writer.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import type { FileKeeper, Tier, TierStats } from "./tier.ts";

export class LocalRecoveryTier implements Tier {
  readonly kind: Tier["kind"];
  readonly #tier: Tier;
  readonly #local: LocalFiles;

  /** The tier's storage is `local.keeping(…)`, and its `discard` tells `local`. */
  constructor(tier: Tier, local: LocalFiles) {
    this.kind = tier.kind;
    this.#tier = tier;
    this.#local = local;
  }

  begin(checkpointId: number, keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult> {
    return this.#tier.begin(checkpointId, keeper, signal).then((snapshot) => {
      // Changelog segments, which grow, are not kept.
      const files = snapshot.files.filter(({ lengthBytes }) => lengthBytes > 0);
      this.#local.captured(checkpointId, files);
      return snapshot;
    });
  }

  beginSavepoint(
    format: SavepointFormat,
    sink: Promise<FileSink>,
    signal: AbortSignal,
  ): Promise<SnapshotResult> {
    return this.#tier.beginSavepoint(format, sink, signal);
  }

  complete(checkpointId: number): void {
    this.#tier.complete(checkpointId);
    this.#local.complete(checkpointId);
  }

  abort(checkpointId: number): void {
    this.#tier.abort(checkpointId);
    this.#local.abort(checkpointId);
  }

  requireWhole(checkpointId: number): void {
    this.#tier.requireWhole?.(checkpointId);
  }

  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key> {
    return this.#tier.scanKeys(schema, namespace);
  }

  prefetch(keys: readonly Key[]): Promise<void> {
    return this.#tier.prefetch(keys);
  }

  get needsDrain(): boolean {
    return this.#tier.needsDrain;
  }

  drained(signal: AbortSignal): Promise<void> {
    return this.#tier.drained(signal);
  }

  relieve(): void {
    this.#tier.relieve();
  }

  stats(): TierStats {
    return this.#tier.stats();
  }

  close(): Promise<void> {
    return this.#tier.close();
  }
}
