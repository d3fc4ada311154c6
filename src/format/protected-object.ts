// Objects that only holders of a key can make, or read. Page: docs/formats/protected-object.md.
//   X1. Nothing of an object is given out before its MAC, or the tag of its chunk, was compared.
//   X2. A pair of key and nonce is used once: each object has a key of its own, by a random salt, and
//       each chunk its number.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  timingSafeEqual,
} from "node:crypto";
import { assert } from "../common/assert.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";

export const PROTECTED_HEADER_BYTES = 112;
export const SALT_BYTES = 32;
export const PROTECTION_KEY_BYTES = 32;
/** Plain bytes of a chunk, and what is stored of it. */
export const CHUNK_PLAIN_BYTES = 65_536;
export const CHUNK_STORED_BYTES: number = CHUNK_PLAIN_BYTES + 16;

const VERSION = 1;
const TAG_BYTES = 16;
const KEY_ID_OFFSET = 16;
const KEY_ID_BYTES = 64;
const SALT_OFFSET = 80;
const MAC_INFO = "varve authenticated object 1";
const ENCRYPTION_INFO = "varve encrypted object 1";
const encoder = new TextEncoder();

export interface ProtectionKey {
  /** 1 to 64 characters of `[a-z0-9-]`; stored with each object. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The bytes of an object with its MAC before them. */
export function authenticate(
  content: Uint8Array,
  name: string,
  { id, key }: ProtectionKey,
): Uint8Array {
  const object = new Uint8Array(PROTECTED_HEADER_BYTES + content.length);
  writeHeader(object, "VARVEMAC", 0, id);
  object.set(content, PROTECTED_HEADER_BYTES);
  object.set(macOf(object, name, key), SALT_OFFSET);
  return object;
}

/** What `authenticate` was given; throws if the MAC is not that of this name, content and key (X1). */
export function authenticated(
  object: Uint8Array,
  name: string,
  keys: readonly ProtectionKey[],
): Uint8Array {
  const { key } = readHeader(object, "VARVEMAC", 0, name, keys);
  const stored = object.subarray(SALT_OFFSET, SALT_OFFSET + SALT_BYTES);
  if (!timingSafeEqual(stored, macOf(object, name, key))) {
    throw new CorruptionError("the MAC is not this key's", name, SALT_OFFSET);
  }
  return object.slice(PROTECTED_HEADER_BYTES);
}

function macOf(object: Uint8Array, name: string, key: Uint8Array): Uint8Array {
  return createHmac("sha256", derived(key, new Uint8Array(0), MAC_INFO))
    .update(object.subarray(0, SALT_OFFSET))
    .update(encoder.encode(`${name}\0`))
    .update(object.subarray(PROTECTED_HEADER_BYTES))
    .digest();
}

/** Encrypts the chunks of one object, or decrypts them, in any order. */
export class ObjectCipher {
  readonly header: Uint8Array;
  readonly #name: string;
  readonly #key: Uint8Array;
  readonly #associated: Uint8Array;

  private constructor(header: Uint8Array, name: string, key: Uint8Array) {
    this.header = header;
    this.#name = name;
    this.#key = derived(key, header.slice(SALT_OFFSET), ENCRYPTION_INFO);
    this.#associated = Buffer.concat([header, encoder.encode(name)]);
  }

  /** For a new object; the salt is random and used for nothing else (X2). */
  static create(name: string, { id, key }: ProtectionKey, salt: Uint8Array): ObjectCipher {
    assert(salt.length === SALT_BYTES, "a salt has 32 bytes");
    const header = new Uint8Array(PROTECTED_HEADER_BYTES);
    writeHeader(header, "VARVEENC", CHUNK_PLAIN_BYTES, id);
    header.set(salt, SALT_OFFSET);
    return new ObjectCipher(header, name, key);
  }

  /** For an object that begins with these bytes. */
  static open(object: Uint8Array, name: string, keys: readonly ProtectionKey[]): ObjectCipher {
    const { key } = readHeader(object, "VARVEENC", CHUNK_PLAIN_BYTES, name, keys);
    return new ObjectCipher(object.slice(0, PROTECTED_HEADER_BYTES), name, key);
  }

  /** Chunk and tag. */
  encrypt(plain: Uint8Array, number: number, isLast: boolean): Uint8Array {
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonceOf(number, isLast));
    cipher.setAAD(this.#associated);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  decrypt(stored: Uint8Array, number: number, isLast: boolean): Uint8Array {
    const offset = PROTECTED_HEADER_BYTES + number * CHUNK_STORED_BYTES;
    const end = stored.length - TAG_BYTES;
    if (end < 0) throw new CorruptionError("a chunk is cut", this.#name, offset);
    const decipher = createDecipheriv("aes-256-gcm", this.#key, nonceOf(number, isLast));
    decipher.setAAD(this.#associated);
    decipher.setAuthTag(stored.subarray(end));
    const plain = decipher.update(stored.subarray(0, end));
    try {
      decipher.final(); // X1
    } catch {
      throw new CorruptionError("the tag of a chunk is not this key's", this.#name, offset);
    }
    return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
  }
}

/** A whole object in memory. */
export function encryptObject(content: Uint8Array, cipher: ObjectCipher): Uint8Array {
  const parts: Uint8Array[] = [cipher.header];
  const chunks = chunkCount(content.length);
  for (let number = 0; number < chunks; number++) {
    const start = number * CHUNK_PLAIN_BYTES;
    const plain = content.subarray(start, start + CHUNK_PLAIN_BYTES);
    parts.push(cipher.encrypt(plain, number, number === chunks - 1));
  }
  return new Uint8Array(Buffer.concat(parts));
}

export function decryptObject(
  object: Uint8Array,
  name: string,
  keys: readonly ProtectionKey[],
): Uint8Array {
  const cipher = ObjectCipher.open(object, name, keys);
  const content = new Uint8Array(plainLength(object.length, name));
  const chunks = chunkCount(content.length);
  for (let number = 0; number < chunks; number++) {
    const start = PROTECTED_HEADER_BYTES + number * CHUNK_STORED_BYTES;
    const stored = object.subarray(start, start + CHUNK_STORED_BYTES);
    const plain = cipher.decrypt(stored, number, number === chunks - 1);
    content.set(plain, number * CHUNK_PLAIN_BYTES);
  }
  return content;
}

/** Chunks of an object with so many plain bytes: at least one, so that also an empty one has a tag. */
export function chunkCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_PLAIN_BYTES));
}

/** Plain bytes of an encrypted object with so many bytes. */
export function plainLength(storedBytes: number, name: string): number {
  const body = storedBytes - PROTECTED_HEADER_BYTES;
  const chunks = Math.ceil(body / CHUNK_STORED_BYTES);
  const plain = body - chunks * TAG_BYTES;
  if (body < TAG_BYTES || chunkCount(plain) !== chunks) {
    throw new CorruptionError("no encrypted object has this length", name, storedBytes);
  }
  return plain;
}

function nonceOf(number: number, isLast: boolean): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number, 0);
  nonce[4] = isLast ? 1 : 0;
  return nonce;
}

function derived(key: Uint8Array, salt: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, salt, info, PROTECTION_KEY_BYTES));
}

function writeHeader(object: Uint8Array, magic: string, chunk: number, keyId: string): void {
  object.set(encoder.encode(magic), 0);
  const view = new DataView(object.buffer, object.byteOffset);
  view.setUint32(8, VERSION);
  view.setUint32(12, chunk);
  object.set(encoder.encode(keyId), KEY_ID_OFFSET);
}

/** The key that the header names. */
function readHeader(
  object: Uint8Array,
  magic: string,
  chunk: number,
  name: string,
  keys: readonly ProtectionKey[],
): ProtectionKey {
  const bytes = Buffer.from(object.buffer, object.byteOffset, object.length);
  if (object.length < PROTECTED_HEADER_BYTES || bytes.toString("latin1", 0, 8) !== magic) {
    const what = magic === "VARVEMAC" ? "authenticated" : "encrypted";
    throw new CorruptionError(`the object is not ${what}`, name, 0);
  }
  const version = bytes.readUInt32BE(8);
  if (version !== VERSION) {
    throw new UnsupportedFormatError(`protection of ${name}`, String(version), String(VERSION));
  }
  if (bytes.readUInt32BE(12) !== chunk) {
    throw new CorruptionError("the size of a chunk is wrong", name, 12);
  }
  const field = bytes.subarray(KEY_ID_OFFSET, KEY_ID_OFFSET + KEY_ID_BYTES);
  const key = keys.find(({ id }) =>
    field.equals(Buffer.alloc(KEY_ID_BYTES).fill(id, 0, id.length)),
  );
  if (key !== undefined) return key;
  const known = keys.map(({ id }) => id).join(", ");
  const text = field
    .toString("latin1")
    .replaceAll(/[^a-z0-9-]/g, "")
    .slice(0, KEY_ID_BYTES);
  throw new UnsupportedFormatError(`the key of ${name}`, `the id "${text}"`, known);
}
