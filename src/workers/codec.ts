// Which library compresses: the native `lz4` where it could be built, else `lz4-napi`, else none.
// All write the same bytes, LZ4's block format, so the choice is this thread's own affair.
import { createRequire } from "node:module";
import { UnsupportedFormatError } from "../errors.ts";
import type { BlockCodec } from "../format/frame.ts";

interface Lz4 {
  /** Bytes written, or 0 if they do not fit the output. */
  encodeBlock(input: Buffer, output: Buffer): number;
  /** Bytes written; negative if the block is damaged. */
  decodeBlock(input: Buffer, output: Buffer): number;
}

/** Blocks here have their raw length as u32 in front. */
interface Lz4Napi {
  compressSync(data: Buffer): Buffer;
  uncompressSync(data: Buffer): Buffer;
}

const SIZE_PREFIX_BYTES = 4;

let loaded: BlockCodec | undefined;

/** The codec of this thread, loaded at the first call. */
export function loadCodec(): BlockCodec {
  loaded ??=
    attempt("lz4", (library) => lz4Codec(library as Lz4)) ??
    attempt("lz4-napi", (library) => lz4NapiCodec(library as Lz4Napi)) ??
    noCodec;
  return loaded;
}

/** The codec of this name, or undefined if it does not load. */
export function loadCodecNamed(name: "lz4" | "lz4-napi"): BlockCodec | undefined {
  return name === "lz4"
    ? attempt(name, (library) => lz4Codec(library as Lz4))
    : attempt(name, (library) => lz4NapiCodec(library as Lz4Napi));
}

function attempt(name: string, make: (library: unknown) => BlockCodec): BlockCodec | undefined {
  try {
    const codec = make(createRequire(import.meta.url)(name));
    return isWorking(codec) ? codec : undefined;
  } catch {
    // Not installed, built for another Node, or the stale macOS binary that the package carries:
    // each fails in a way of its own, and the next one does.
    return undefined;
  }
}

function isWorking(codec: BlockCodec): boolean {
  const raw = Buffer.alloc(256, "varve ");
  const target = Buffer.alloc(raw.length);
  const length = codec.compress(raw, target);
  const back = length > 0 ? codec.decompress(target.subarray(0, length), raw.length) : undefined;
  return back !== undefined && raw.equals(back);
}

function lz4Codec(library: Lz4): BlockCodec {
  return {
    name: "lz4",
    compress(raw, target) {
      // One byte less than the input: what does not fit would not shrink.
      const room = raw.length - 1;
      if (room < 1) return 0;
      return library.encodeBlock(bufferOf(raw), bufferOf(target.subarray(0, room)));
    },
    decompress(block, rawLength) {
      const raw = Buffer.allocUnsafeSlow(rawLength);
      const length = library.decodeBlock(bufferOf(block), raw);
      // A plain array: views of a Buffer are slower to make, and rows are views.
      return length === rawLength ? new Uint8Array(raw.buffer) : undefined;
    },
  };
}

function lz4NapiCodec(library: Lz4Napi): BlockCodec {
  return {
    name: "lz4-napi",
    compress(raw, target) {
      const block = library.compressSync(bufferOf(raw)).subarray(SIZE_PREFIX_BYTES);
      if (block.length >= raw.length) return 0;
      target.set(block);
      return block.length;
    },
    decompress(block, rawLength) {
      const prefixed = Buffer.allocUnsafe(SIZE_PREFIX_BYTES + block.length);
      prefixed.writeUInt32LE(rawLength);
      prefixed.set(block, SIZE_PREFIX_BYTES);
      try {
        const raw = library.uncompressSync(prefixed);
        // A copy: memory of a native library cannot be moved to another thread.
        return raw.length === rawLength ? Uint8Array.from(raw) : undefined;
      } catch {
        return undefined; // It throws for damaged blocks.
      }
    },
  };
}

/** Writes raw frames, which every reader takes. */
const noCodec: BlockCodec = {
  name: "none",
  compress: () => 0,
  decompress() {
    throw new UnsupportedFormatError(
      "neither lz4 nor lz4-napi loads on this machine",
      "an LZ4 frame",
      "raw frames",
    );
  },
};

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
