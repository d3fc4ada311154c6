// Metadata as bytes that a reader takes.
import type { Timers } from "../api/environment.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { type CheckpointMetadata, decodeMetadata, encodeMetadata } from "../format/metadata.ts";

/** As much takes 0.35 ms to encode and decode, on two slow virtual cores; 16 KiB took 1 ms. */
const SHORT_BYTES_MAX = 4096;

export class MetadataVerifier {
  readonly #timers: Timers;
  /** Length of the metadata before. */
  #bytesBefore = Number.POSITIVE_INFINITY;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /**
   * The stored bytes, decoded once: what a reader would refuse must never become the newest checkpoint.
   * Records run between the steps where these may be long: user metadata may have a mebibyte, and first
   * calls compile the code. Else not, since a busy job makes turns long.
   */
  async encode(metadata: CheckpointMetadata): Promise<Uint8Array> {
    const checksum = await loadFrameChecksum();
    let mayBeLong = this.#bytesBefore > SHORT_BYTES_MAX;
    if (mayBeLong) await this.#timers.yieldTurn();
    const bytes = encodeMetadata(metadata, checksum);
    mayBeLong ||= bytes.length > SHORT_BYTES_MAX;
    if (mayBeLong) await this.#timers.yieldTurn();
    decodeMetadata(bytes, checksum, `the metadata of checkpoint ${metadata.checkpointId}`);
    if (mayBeLong) await this.#timers.yieldTurn();
    this.#bytesBefore = bytes.length;
    return bytes;
  }
}
