import { keyGroupOf } from "../../src/common/key-group.ts";
import { KeyTag, encodeKeyPayload, hashKeyPayload } from "../../src/format/key-codec.ts";

const keyGroups = 128;

export function keyGroupOfNumber(key: number): number {
  return keyGroupOf(hashKeyPayload(KeyTag.number, encodeKeyPayload(key)), keyGroups);
}

/** The numbers below `count`, key group by key group: an engine need not merge what comes in order. */
export function keysByGroup(count: number): Int32Array {
  const groupOf = new Uint8Array(count);
  const starts = new Int32Array(keyGroups + 1);
  for (let key = 0; key < count; key++) {
    groupOf[key] = keyGroupOfNumber(key);
    starts[groupOf[key]! + 1]!++;
  }
  for (let group = 0; group < keyGroups; group++) starts[group + 1]! += starts[group]!;
  const keys = new Int32Array(count);
  for (let key = 0; key < count; key++) keys[starts[groupOf[key]!]!++] = key;
  return keys;
}
