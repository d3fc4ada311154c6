// What a checkpoint storage holds besides rows: metadata, hints, lists, names.
import { createHash } from "node:crypto";
import { isObjectName } from "../../../src/checkpoint/object-name.ts";
import {
  metadataName,
  numberOfMetadataName,
  numberOfPinName,
  pinName,
} from "../../../src/checkpoint/layout.ts";
import { encodeClosed, isClosed } from "../../../src/format/closed-sequence.ts";
import { decodeFileList, encodeFileList } from "../../../src/format/file-list.ts";
import type { FileList } from "../../../src/format/file-list.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import {
  concatenate,
  decodeFrameSequence,
  encodeFrameSequence,
} from "../../../src/format/frame-sequence.ts";
import { decodeFrame, encodeFrame, frameEnd, readFrameHeader } from "../../../src/format/frame.ts";
import { decodeHint, encodeHint } from "../../../src/format/metadata-hint.ts";
import { decodeMetadata, encodeMetadata } from "../../../src/format/metadata.ts";
import type { CheckpointMetadata } from "../../../src/format/metadata.ts";
import { savepointFormatOf } from "../../../src/format/savepoint.ts";
import { encodeTiming, timingOf } from "../../../src/format/timing.ts";
import { CorruptionError } from "../../../src/errors.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import { exampleDumpList, exampleMetadata, exampleSstSet } from "../../support/format-examples.ts";
import { type Target, textBytes } from "./target.ts";

const checksum = await loadFrameChecksum();
const plain = { checksum };
const packed = { checksum, codec: loadCodec() };

const segment = { id: "44".repeat(16), lengthBytes: 900, sha256: "ee".repeat(32) };
const handle = exampleMetadata.handles[0]!;
const metadatas: readonly CheckpointMetadata[] = [
  exampleMetadata,
  {
    ...exampleMetadata,
    policy: "changelog",
    handles: [{ ...handle, log: { baseChangeNumber: 4, segments: [segment] } }],
    extensions: encodeTiming({ durationMs: 12.5, pauseMs: 0.125 }),
  },
  {
    ...exampleMetadata,
    backendKind: "memory",
    policy: "full",
    handles: [{ ...handle, base: { ...handle.base, kind: "canonical" } }],
    userMetadata: { deep: [[["x", { y: [1, null, true, 1e-7, "\u00e9"] }]]] },
    extensions: { savepoint: "canonical" },
  },
];

/** The JSON of metadata, which is all of it that is not a header or a hash. */
function jsonOf(bytes: Uint8Array): Uint8Array {
  return bytes.slice(36, -32);
}

function sealMetadata(json: Uint8Array): Uint8Array {
  const header = Buffer.alloc(16);
  header.write("VARVECHK", 0, "latin1");
  header.writeUInt32LE(1, 8);
  const hashed = concatenate([header, encodeFrame(json, plain)]);
  return concatenate([hashed, createHash("sha256").update(hashed).digest()]);
}

const listHeader = encodeFileList(exampleDumpList, plain).slice(0, 16);
const canonicalList: FileList = {
  kind: "canonical",
  files: exampleDumpList.files.map((file, index) => ({
    ...file,
    firstKeyGroup: index,
    lastKeyGroup: index + 3,
  })),
};
const listBodies = [exampleSstSet, exampleDumpList, canonicalList].map((list) =>
  encodeFileList(list, plain).slice(36),
);

function readWhole(bytes: Uint8Array): Uint8Array {
  const source = { file: "frame", fileOffset: 0, rawBytesMax: 65_536 };
  const header = readFrameHeader(bytes, 0, bytes.length, source);
  if (frameEnd(0, header) !== bytes.length) throw new CorruptionError("bytes follow", "frame", 0);
  return decodeFrame(bytes, 0, header, packed, source);
}

/** A frame whose stored bytes are changed, with the checksum of what they are then. */
function sealFrame(body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(Math.max(20, body.length));
  frame.set(body);
  new DataView(frame.buffer).setBigUint64(12, checksum.xxh64(frame.subarray(20)), true);
  return frame;
}

const texts = ["varve ".repeat(40), "a", "", "0123456789".repeat(3)].map(textBytes);

export const checkpointTargets: readonly Target[] = [
  {
    name: "metadata",
    corpus: metadatas.map((metadata) => jsonOf(encodeMetadata(metadata, checksum))),
    seal: sealMetadata,
    decode(bytes) {
      const metadata = decodeMetadata(bytes, checksum, "metadata");
      timingOf(metadata);
      savepointFormatOf(metadata, "metadata");
      return metadata;
    },
    encode: (metadata) => encodeMetadata(metadata, checksum),
    isCanonical: true,
  },
  {
    name: "file-list",
    corpus: listBodies,
    seal: (body) => concatenate([listHeader, encodeFrameSequence(body, plain)]),
    decode: (bytes) => decodeFileList(bytes, plain, "list"),
    encode: (list) => encodeFileList(list, plain),
    isCanonical: true,
  },
  {
    name: "frame",
    corpus: texts.map((text) => encodeFrame(text, packed)),
    seal: sealFrame,
    decode: readWhole,
    encode: (raw) => encodeFrame(raw, packed),
  },
  {
    name: "frame-sequence",
    corpus: texts.map((text) => encodeFrameSequence(text, packed)),
    seal: sealFrame,
    decode: (bytes) => decodeFrameSequence(bytes, 0, 100_000, packed, "frames"),
    encode: (raw) => encodeFrameSequence(raw, packed),
  },
  {
    name: "hint",
    corpus: [1, 7, 9_999_999_999].map(encodeHint),
    seal: (body) => {
      const text = Buffer.from(body).toString("latin1").slice(0, 25);
      const check = createHash("sha256").update(text, "latin1").digest("hex").slice(0, 16);
      return Buffer.from(`${text} ${check}\n`, "latin1");
    },
    decode: (bytes) => decodeHint(bytes),
    encode: (number: number | undefined) =>
      number === undefined ? new Uint8Array(0) : encodeHint(number),
  },
  {
    name: "closed-sequence",
    corpus: [encodeClosed(1, "ab".repeat(16)), encodeClosed(77, "00".repeat(16))],
    seal: (body) => {
      const text = Buffer.from(body).toString("latin1").slice(0, 58);
      const check = createHash("sha256").update(text, "latin1").digest("hex").slice(0, 16);
      return Buffer.from(`${text} ${check}\n`, "latin1");
    },
    decode: (bytes) => isClosed(bytes, 77),
  },
  {
    name: "object-name",
    corpus: [metadataName(1), pinName(3), "files/00ff", "latest", "a/../b"].map(textBytes),
    decode(bytes) {
      const name = Buffer.from(bytes).toString("latin1");
      const numbers = [numberOfMetadataName(name), numberOfPinName(name)];
      const isName = isObjectName(name);
      if (isName && (name.startsWith("/") || name.split("/").includes(".."))) {
        throw new Error(`a name that leaves the storage: ${JSON.stringify(name)}`);
      }
      isObjectName(name, true);
      const [number] = numbers;
      if (number !== undefined && metadataName(number) !== name) {
        throw new Error(`another spelling of ${number}`);
      }
      return numbers;
    },
  },
];
