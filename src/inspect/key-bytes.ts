// Keys, namespaces and prefixes as ranges of row keys. Page: docs/formats/row-key.md.
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { InvalidArgumentError } from "../errors.ts";
import { concatenate } from "../format/frame-sequence.ts";
import { encodeKeyPayload, hashKeyPayload, keyTagOf } from "../format/key-codec.ts";
import { type KeyRange, successorOf } from "./row-source.ts";

/** Tag and payload, as in a row key. */
export function encodeTagged(key: Key): Uint8Array {
  const payload = encodeKeyPayload(key);
  const bytes = new Uint8Array(1 + payload.length);
  bytes[0] = keyTagOf(key);
  bytes.set(payload, 1);
  return bytes;
}

export function groupOfKey(key: Key, { max }: KeyGroupRange): number {
  return keyGroupOf(hashKeyPayload(keyTagOf(key), encodeKeyPayload(key)), max);
}

/** The rows of one key, in one namespace or in all. */
export function rangeOfKey(key: Key, namespace: Key | undefined): KeyRange {
  const parts = namespace === undefined ? [key] : [key, namespace];
  const bytes = concatenate(parts.map(encodeTagged));
  return { gte: bytes, lt: successorOf(bytes) };
}

/** The rows of all keys that begin so: strings if it is one, else byte arrays. */
export function rangeOfPrefix(prefix: string | Uint8Array): KeyRange {
  if (typeof prefix !== "string" && !(prefix instanceof Uint8Array)) {
    throw new InvalidArgumentError("a prefix is a string or a Uint8Array");
  }
  const whole = encodeTagged(prefix);
  const open = whole.subarray(0, whole.length - 2); // Without the two bytes that end a payload.
  return { gte: open, lt: successorOf(open) };
}
