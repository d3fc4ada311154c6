// What a checkpoint consists of. Page: docs/formats/checkpoint-metadata.md.
//   A1. The bytes verify themselves: the SHA-256 at the end covers everything before it.
//   A2. The JSON is canonical: encoding what was decoded gives the same bytes. So duplicate names,
//       numbers that overflow and other spellings of one value are refused.
//   A3. Decoding builds new objects field by field (metadata-schema.ts); nothing of the input's own
//       shape survives but the user's metadata and the extensions, which are checked as well.
import { createHash } from "node:crypto";
import type {
  ChangelogHandle,
  CheckpointPolicy,
  JsonValue,
  KeyedStateHandle,
} from "../api/keyed-state-backend.ts";
import { assert } from "../common/assert.ts";
import { KIB, MIB } from "../common/units.ts";
import { CorruptionError, InvalidArgumentError, UnsupportedFormatError } from "../errors.ts";
import { concatenate } from "./frame-sequence.ts";
import { decodeFrame, encodeFrame, frameEnd, readFrameHeader } from "./frame.ts";
import type { FrameSource } from "./frame.ts";
import type { FrameChecksum } from "./frame-checksum.ts";
import { checkNesting, refuseUnstorable } from "./metadata-json.ts";
import { readMetadata } from "./metadata-schema.ts";

export const METADATA_MAGIC = "VARVECHK";
export const METADATA_VERSION = 1;
const HEADER_BYTES = 16; // Magic, u32 version, u32 reserved.
const HASH_BYTES = 32;
export const METADATA_BYTES_MAX: number = 64 * MIB;
/** Largest user metadata, as JSON. */
export const USER_METADATA_BYTES_MAX: number = 1024 * KIB;

export type BackendKind = "lsm" | "memory";

/** One run of one owner: whoever opens the storage to write begins a new one. */
export interface WriterEpoch {
  /** 32 hexadecimal digits, random. */
  readonly id: string;
  /** One more than that of the checkpoint it started from; 1 for a new job. */
  readonly number: number;
}

export interface CheckpointMetadata {
  readonly checkpointId: number;
  /** Position in the sequence of completed checkpoints, dense from 1. */
  readonly completionNumber: number;
  /** Lowest completion number that was retained once this one completed. */
  readonly oldestRetained: number;
  readonly writerEpoch: WriterEpoch;
  /** Wall clock, for people. Nothing is decided by it. */
  readonly createdAtMs: number;
  readonly policy: CheckpointPolicy;
  readonly backendKind: BackendKind;
  readonly handles: readonly KeyedStateHandle[];
  /** Reserved, and empty: changelog segments stand in the handles. */
  readonly segments: readonly never[];
  readonly userMetadata: JsonValue | undefined;
  /** Fields that later versions may add without changing the meaning of the others. */
  readonly extensions: { readonly [name: string]: JsonValue } | undefined;
}

/** The stored bytes. InvalidArgumentError if the user's metadata cannot be stored. */
export function encodeMetadata(metadata: CheckpointMetadata, checksum: FrameChecksum): Uint8Array {
  checkUserMetadata(metadata.userMetadata);
  const json = new TextEncoder().encode(canonicalJson(metadata));
  assert(json.length <= METADATA_BYTES_MAX, "metadata longer than a reader takes");
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(METADATA_MAGIC, 0, "latin1");
  header.writeUInt32LE(METADATA_VERSION, 8);
  const hashed = concatenate([header, encodeFrame(json, { checksum })]);
  return concatenate([hashed, createHash("sha256").update(hashed).digest()]);
}

/** Refuses what JSON cannot carry, or not exactly, and what is too long. */
export function checkUserMetadata(value: JsonValue | undefined): void {
  if (value === undefined) return;
  refuseUnstorable(value, "metadata");
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > USER_METADATA_BYTES_MAX) {
    throw new InvalidArgumentError(
      `metadata has ${bytes} bytes as JSON, more than ${USER_METADATA_BYTES_MAX}`,
    );
  }
}

/** The checkpoint that the bytes describe. `file` names them in errors. */
export function decodeMetadata(
  bytes: Uint8Array,
  checksum: FrameChecksum,
  file: string,
): CheckpointMetadata {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (all.length < HEADER_BYTES || all.toString("latin1", 0, 8) !== METADATA_MAGIC) {
    throw new CorruptionError("not checkpoint metadata", file, 0);
  }
  // Before the hash, whose place a later version may change.
  const version = all.readUInt32LE(8);
  if (version !== METADATA_VERSION) {
    throw new UnsupportedFormatError(`checkpoint ${file}`, `version ${version}`, "version 1");
  }
  const end = all.length - HASH_BYTES;
  const hash = createHash("sha256")
    .update(all.subarray(0, Math.max(end, 0)))
    .digest();
  if (end < HEADER_BYTES || !hash.equals(all.subarray(end))) {
    throw new CorruptionError("the SHA-256 of checkpoint metadata does not match", file, 0); // A1
  }
  if (all.readUInt32LE(12) !== 0) {
    throw new CorruptionError("reserved bytes of checkpoint metadata are not zero", file, 12);
  }
  const source: FrameSource = { file, fileOffset: 0, rawBytesMax: METADATA_BYTES_MAX };
  const header = readFrameHeader(all, HEADER_BYTES, end, source);
  if (frameEnd(HEADER_BYTES, header) !== end) {
    throw new CorruptionError("bytes follow the frame of checkpoint metadata", file, HEADER_BYTES);
  }
  return decodeJson(decodeFrame(all, HEADER_BYTES, header, { checksum }, source), file);
}

function decodeJson(bytes: Uint8Array, file: string): CheckpointMetadata {
  let text: string;
  let value: unknown;
  checkNesting(bytes, file);
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new CorruptionError("checkpoint metadata is not JSON", file, HEADER_BYTES, { cause });
  }
  const metadata = readMetadata(value, file);
  if (canonicalJson(metadata) !== text) {
    throw new CorruptionError("checkpoint metadata is not canonical JSON", file, HEADER_BYTES); // A2
  }
  return metadata;
}

/** Fields in the order of the page, absent ones left out, no white space. */
function canonicalJson(metadata: CheckpointMetadata): string {
  return JSON.stringify({
    checkpointId: metadata.checkpointId,
    completionNumber: metadata.completionNumber,
    oldestRetained: metadata.oldestRetained,
    writerEpoch: { id: metadata.writerEpoch.id, number: metadata.writerEpoch.number },
    createdAtMs: metadata.createdAtMs,
    policy: metadata.policy,
    backendKind: metadata.backendKind,
    handles: metadata.handles.map(({ keyGroups, changeNumber, base, log, states }) => ({
      keyGroups: { max: keyGroups.max, first: keyGroups.first, last: keyGroups.last },
      changeNumber,
      base: {
        kind: base.kind,
        fileList: {
          id: base.fileList.id,
          lengthBytes: base.fileList.lengthBytes,
          sha256: base.fileList.sha256,
        },
        totalBytes: base.totalBytes,
        fileCount: base.fileCount,
      },
      log: log === undefined ? undefined : canonicalLog(log),
      states: states.map(({ name, id, type, serializers, namespaces }) => ({
        name,
        id,
        type,
        serializers,
        namespaces,
      })),
    })),
    segments: metadata.segments,
    userMetadata: metadata.userMetadata,
    extensions: metadata.extensions,
  });
}

function canonicalLog({ baseChangeNumber, segments }: ChangelogHandle): ChangelogHandle {
  return {
    baseChangeNumber,
    segments: segments.map(({ id, lengthBytes, sha256 }) => ({ id, lengthBytes, sha256 })),
  };
}
