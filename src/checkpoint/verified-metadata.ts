// Metadata as bytes that a reader takes.
import type { Timers } from "../api/environment.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { type CheckpointMetadata, decodeMetadata, encodeMetadata } from "../format/metadata.ts";

/** About a tenth of a millisecond to encode and decode. */
const SHORT_BYTES_MAX = 16_384;

export class MetadataVerifier {
  readonly #timers: Timers;
  #bytesBefore: number | undefined;

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
    await this.#between(this.#bytesBefore);
    const bytes = encodeMetadata(metadata, checksum);
    const isFirst = this.#bytesBefore === undefined;
    await this.#between(isFirst ? undefined : bytes.length);
    decodeMetadata(bytes, checksum, `the metadata of checkpoint ${metadata.checkpointId}`);
    await this.#between(isFirst ? undefined : bytes.length);
    this.#bytesBefore = bytes.length;
    return bytes;
  }

  async #between(lengthBytes: number | undefined): Promise<void> {
    const isShort = lengthBytes !== undefined && lengthBytes <= SHORT_BYTES_MAX;
    if (!isShort) await this.#timers.yieldTurn();
  }
}
