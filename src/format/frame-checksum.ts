// xxHash64, seed 0, of stored bytes: detects accidents, not forgery. Files and metadata carry
// SHA-256 besides.
import createHasher from "xxhash-wasm";

/** What frames are checked with. Made once per thread, since compiling the hasher takes a promise. */
export interface FrameChecksum {
  xxh64(bytes: Uint8Array): bigint;
}

/** The hasher copies what it hashes into memory that never shrinks. */
const PIECE_BYTES = 262_144;

let loading: Promise<FrameChecksum> | undefined;

/** The checksum of this thread. */
export function loadFrameChecksum(): Promise<FrameChecksum> {
  loading ??= load();
  return loading;
}

async function load(): Promise<FrameChecksum> {
  const hasher = await createHasher();
  return {
    xxh64(bytes) {
      if (bytes.length <= PIECE_BYTES) return hasher.h64Raw(bytes);
      const stream = hasher.create64();
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        stream.update(bytes.subarray(at, at + PIECE_BYTES));
      }
      return stream.digest();
    },
  };
}
