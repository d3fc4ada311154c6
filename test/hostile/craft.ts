// Puts objects of a checkpoint together as a stranger would who knows the formats: every hash is right,
// only what a case is about is wrong.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { varintBytes, writeVarint } from "../../src/common/varint.ts";
import { decodeFileList } from "../../src/format/file-list.ts";
import type { FileList } from "../../src/format/file-list.ts";
import { type FrameChecksum, loadFrameChecksum } from "../../src/format/frame-checksum.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import { encodeFrame } from "../../src/format/frame.ts";
import { fromHex } from "../../src/format/hex.ts";
import type { BaseName, Objects } from "./case-files.ts";

export const METADATA = "metadata/0000000001";
export const METADATA_TEXT_AT = 36; // Header and frame header.
const checksum: FrameChecksum = await loadFrameChecksum();

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function ascii(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

export function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

export function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** 2^70 - 1: more than any length there is. */
export const OVERFLOWING_VARINT: Uint8Array = Uint8Array.of(...Array<number>(9).fill(0xff), 0x7f);

/** `text` with one thing replaced, which must be there. */
export function swap(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), `there is no ${from}`);
  return text.replace(from, () => to);
}

export interface FrameFields {
  readonly codec?: number;
  readonly encryption?: number;
  readonly reserved?: number;
  readonly rawLength?: number;
  readonly storedLength?: number;
}

/** A frame of these stored bytes, whose checksum is right whatever its header says. */
export function frame(stored: Uint8Array, fields: FrameFields = {}): Uint8Array {
  const bytes = Buffer.from(encodeFrame(stored, { checksum }));
  bytes.writeUInt8(fields.codec ?? 0, 0);
  bytes.writeUInt8(fields.encryption ?? 0, 1);
  bytes.writeUInt16LE(fields.reserved ?? 0, 2);
  bytes.writeUInt32LE(fields.rawLength ?? stored.length, 4);
  bytes.writeUInt32LE(fields.storedLength ?? stored.length, 8);
  return bytes;
}

export function xxh64(bytes: Uint8Array): bigint {
  return checksum.xxh64(bytes);
}

export function header(magic: string, version: number = 1, reserved: number = 0): Uint8Array {
  return concatenate([ascii(magic), u32(version), u32(reserved)]);
}

/** Metadata of these bytes: header, frames, and the hash over them. */
export function sealed(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = concatenate(parts);
  return concatenate([bytes, createHash("sha256").update(bytes).digest()]);
}

export function metadataOf(text: string | Uint8Array): Uint8Array {
  const json = typeof text === "string" ? Buffer.from(text) : text;
  return sealed(header("VARVECHK"), frame(json));
}

export function fileListOf(body: Uint8Array): Uint8Array {
  return concatenate([header("VARVELST"), frame(body)]);
}

/** Entry of a file list up to the fields of its kind. */
export function sharedEntry(id: string, bytes: Uint8Array): Uint8Array {
  return concatenate([fromHex(id), varint(bytes.length), fromHex(sha256(bytes))]);
}

/** One of the committed, intact checkpoints. */
export class Base {
  readonly name: BaseName;
  readonly objects: Objects;
  /** The metadata's JSON. */
  readonly text: string;
  readonly listId: string;
  readonly listBytes: Uint8Array;
  readonly list: FileList;
  /** Of the only data file. */
  readonly dataId: string;
  readonly data: Uint8Array;

  constructor(name: BaseName, objects: Objects) {
    this.name = name;
    this.objects = objects;
    const metadata = objects.get(METADATA)!;
    this.text = Buffer.from(metadata.subarray(METADATA_TEXT_AT, -32)).toString();
    const listId = /"fileList":\{"id":"([0-9a-f]{32})"/.exec(this.text)?.[1];
    assert.ok(listId !== undefined);
    this.listId = listId;
    this.listBytes = this.object(`files/${listId}`);
    this.list = decodeFileList(this.listBytes, { checksum }, listId);
    assert.equal(this.list.files.length, 1, "a base has one data file");
    this.dataId = this.list.files[0]!.id;
    this.data = this.object(`files/${this.dataId}`);
  }

  get listName(): string {
    return `files/${this.listId}`;
  }

  get dataName(): string {
    return `files/${this.dataId}`;
  }

  object(name: string): Uint8Array {
    const bytes = this.objects.get(name);
    assert.ok(bytes !== undefined, name);
    return bytes;
  }

  /** The metadata's JSON, of this list and so many bytes in so many files. */
  textFor(list: Uint8Array, totalBytes: number, fileCount: number = 1): string {
    const found = /"lengthBytes":\d+,"sha256":"[0-9a-f]{64}"\},"totalBytes":\d+,"fileCount":\d+/;
    const [old] = found.exec(this.text)!;
    const described = `"lengthBytes":${list.length},"sha256":"${sha256(list)}"},"totalBytes":${totalBytes},"fileCount":${fileCount}`;
    return swap(this.text, old, described);
  }

  /** What differs if the list is this one, with metadata that fits it. */
  withList(list: Uint8Array, totalBytes: number = this.data.length, fileCount?: number): Objects {
    const metadata = metadataOf(this.textFor(list, totalBytes, fileCount));
    return new Map([
      [this.listName, list],
      [METADATA, metadata],
    ]);
  }

  /** What differs if the data file is this one, with a list and metadata that fit it. */
  withData(data: Uint8Array, listBody: Uint8Array): Objects {
    const objects = this.withList(fileListOf(listBody), data.length);
    return new Map([...objects, [this.dataName, data]]);
  }
}
