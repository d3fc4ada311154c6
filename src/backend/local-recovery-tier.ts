// A tier whose checkpoints' files are kept for local recovery: tells which of them are in use.
import type { SnapshotResult } from "../api/keyed-state-backend.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { TierOver } from "./tier-over.ts";
import type { FileKeeper, Tier, TierStats } from "./tier.ts";

export class LocalRecoveryTier extends TierOver implements Tier {
  readonly #tier: Tier;
  readonly #local: LocalFiles;

  /** The tier's storage is `local.keeping(…)`, and its `discard` tells `local`. */
  constructor(tier: Tier, local: LocalFiles) {
    super(tier);
    this.#tier = tier;
    this.#local = local;
  }

  begin(checkpointId: number, keeper: FileKeeper, signal: AbortSignal): Promise<SnapshotResult> {
    return this.#tier.begin(checkpointId, keeper, signal).then((snapshot) => {
      this.#local.captured(checkpointId, snapshot.files);
      return snapshot;
    });
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

  stats(): TierStats {
    return this.#tier.stats();
  }

  close(): Promise<void> {
    return this.#tier.close();
  }
}
