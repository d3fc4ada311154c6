// Metadata as bytes that a reader takes.
import type { Timers } from "../api/environment.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { type CheckpointMetadata, decodeMetadata, encodeMetadata } from "../format/metadata.ts";

/**
 * The stored bytes, decoded once: what a reader would refuse must never become the newest checkpoint.
 * Records run between the steps: user metadata may have a mebibyte, and first calls compile the code.
 */
export async function encodeVerified(
  metadata: CheckpointMetadata,
  timers: Timers,
): Promise<Uint8Array> {
  const checksum = await loadFrameChecksum();
  await timers.yieldTurn();
  const bytes = encodeMetadata(metadata, checksum);
  await timers.yieldTurn();
  decodeMetadata(bytes, checksum, `the metadata of checkpoint ${metadata.checkpointId}`);
  await timers.yieldTurn();
  return bytes;
}
