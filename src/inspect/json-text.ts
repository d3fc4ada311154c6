// Values as JSON, without loss for what a checkpoint can hold. Page: docs/inspect.md#json.
//   J1. What JSON has no form for becomes an object of one member whose name begins with `$`; an
//       object that has such a member itself is wrapped as `$object`. So nothing is ambiguous.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { toHex } from "../format/hex.ts";
import type { Difference } from "./diff.ts";
import type { StoredEntry } from "./entry-decoder.ts";

export function jsonOf(value: unknown): string {
  return write(value, new Set());
}

/** One line, without its end. */
export function jsonLineOf(entry: StoredEntry, schema: StateSchema): string {
  const fields = keyFields(entry);
  fields.push(`"value":${contentJson(entry.value, schema)}`);
  if (!entry.isDecoded) fields.push(`"raw":true`);
  return `{${fields.join(",")}}`;
}

export function differenceLineOf(
  difference: Difference,
  before: StateSchema | undefined,
  after: StateSchema | undefined,
): string {
  const fields = [`"change":"${difference.change}"`, ...keyFields(difference)];
  if (difference.change !== "added" && before !== undefined) {
    fields.push(`"before":${contentJson(difference.before, before)}`);
  }
  if (difference.change !== "removed" && after !== undefined) {
    fields.push(`"after":${contentJson(difference.after, after)}`);
  }
  if (!difference.isDecoded) fields.push(`"raw":true`);
  return `{${fields.join(",")}}`;
}

function keyFields({
  state,
  keyGroup,
  key,
  namespace,
}: Pick<StoredEntry, "state" | "keyGroup" | "key" | "namespace">): string[] {
  const fields = [
    `"state":${JSON.stringify(state)}`,
    `"keyGroup":${keyGroup}`,
    `"key":${jsonOf(key)}`,
  ];
  if (namespace !== undefined) fields.push(`"namespace":${jsonOf(namespace)}`);
  return fields;
}

/** A map with strings as keys is an object, any other an array of pairs. */
function contentJson(value: unknown, { type, serializers }: StateSchema): string {
  if (type !== "map" || serializers[0] !== "utf8") return jsonOf(value);
  return members(value as readonly (readonly [string, unknown])[], new Set());
}

function write(value: unknown, above: Set<object>): string {
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (Object.is(value, -0)) return "-0";
      return Number.isFinite(value) ? String(value) : `{"$number":"${value}"}`;
    case "bigint":
      return `{"$bigint":"${value}"}`;
    case "undefined":
      return `{"$undefined":true}`;
    case "object":
      return value === null ? "null" : nested(value, above);
    case "function":
    case "symbol":
    default:
      return `{"$other":true}`; // Nothing that a serializer of ours makes.
  }
}

/** Only `v8` makes cycles. */
function nested(value: object, above: Set<object>): string {
  if (above.has(value)) return `{"$cycle":true}`;
  above.add(value);
  try {
    return objectJson(value, above);
  } finally {
    above.delete(value);
  }
}

function objectJson(value: object, above: Set<object>): string {
  if (value instanceof Uint8Array) return `{"$bytes":"${toHex(value)}"}`;
  if (Array.isArray(value)) return `[${value.map((item) => write(item, above)).join(",")}]`;
  if (value instanceof Map) return `{"$map":${write([...value], above)}}`;
  if (value instanceof Set) return `{"$set":${write([...value], above)}}`;
  if (value instanceof Date) {
    return `{"$date":${JSON.stringify(value)}}`;
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return `{"$bytes":"${toHex(bytes)}"}`;
  }
  return members(Object.entries(value), above);
}

function members(entries: readonly (readonly [string, unknown])[], above: Set<object>): string {
  // A field without a value is left out, as JSON does.
  const present = entries.filter(([, value]) => value !== undefined);
  const text = present.map(([name, value]) => `${JSON.stringify(name)}:${write(value, above)}`);
  const object = `{${text.join(",")}}`;
  return present.some(([name]) => name.startsWith("$")) ? `{"$object":${object}}` : object; // J1
}
