// Serializers made of others. Their bytes are specified in docs/formats/serializers.md.
import type { Serializer } from "../api/serializer.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";

/** Elements that take no bytes are not bounded by them: damage must not make an array without end. */
const EMPTY_ELEMENTS_MAX = 65_536;

/** What a serializer holds. */
export type SerializedBy<S> = S extends Serializer<infer T> ? T : never;

function sumOfFixed(parts: readonly Serializer<unknown>[]): number | undefined {
  let sum = 0;
  for (const part of parts) {
    if (part.fixedBytes === undefined) return undefined;
    sum += part.fixedBytes;
  }
  return sum;
}

/** An object with exactly these fields, in this order. `optional` fields may be undefined. */
export function struct<T extends object>(fields: {
  readonly [K in keyof T]: Serializer<T[K]>;
}): Serializer<T> {
  const names = Object.keys(fields);
  const parts = names.map((name) => fields[name as keyof T] as unknown as Serializer<unknown>);
  const inner = names.map((name, index) => `${JSON.stringify(name)}:${parts[index]!.fingerprint}`);
  return {
    fingerprint: `struct{${inner.join(",")}}`,
    fixedBytes: sumOfFixed(parts),
    serialize(value, sink) {
      if (typeof value !== "object" || value === null) {
        throw new InvalidArgumentError(`a struct is an object, got ${String(value)}`);
      }
      const record = value as Readonly<Record<string, unknown>>;
      for (let index = 0; index < names.length; index++) {
        sink.value(parts[index]!, record[names[index]!]);
      }
    },
    deserialize(source) {
      const record: Record<string, unknown> = {};
      for (let index = 0; index < names.length; index++) {
        const field = source.value(parts[index]!);
        if (names[index] === "__proto__") {
          Object.defineProperty(record, "__proto__", { value: field, enumerable: true });
        } else {
          record[names[index]!] = field;
        }
      }
      return record as T;
    },
  };
}

/** An array of exactly these elements. */
export function tuple<T extends readonly unknown[]>(
  ...elements: { readonly [K in keyof T]: Serializer<T[K]> }
): Serializer<T> {
  const parts = elements as unknown as readonly Serializer<unknown>[];
  return {
    fingerprint: `tuple[${parts.map((part) => part.fingerprint).join(",")}]`,
    fixedBytes: sumOfFixed(parts),
    serialize(value, sink) {
      const array = value as unknown as readonly unknown[];
      if (!Array.isArray(array) || array.length !== parts.length) {
        throw new InvalidArgumentError(`a tuple is an array of ${parts.length} elements`);
      }
      for (let index = 0; index < parts.length; index++) sink.value(parts[index]!, array[index]);
    },
    deserialize: (source) => parts.map((part) => source.value(part)) as unknown as T,
  };
}

/** An array of any length. */
export function array<T>(element: Serializer<T>): Serializer<T[]> {
  return {
    fingerprint: `array<${element.fingerprint}>`,
    serialize(value, sink) {
      if (!Array.isArray(value)) {
        throw new InvalidArgumentError(`an array was expected, got ${String(value)}`);
      }
      if (element.fixedBytes === 0 && value.length > EMPTY_ELEMENTS_MAX) {
        throw new InvalidArgumentError(`an array has more than ${EMPTY_ELEMENTS_MAX} elements`);
      }
      sink.varint(value.length);
      for (const item of value) sink.value(element, item);
    },
    deserialize(source) {
      const count = source.varint();
      // Every element takes a byte at least, unless it is fixed to none: no allocation by claim.
      if (count > (element.fixedBytes === 0 ? EMPTY_ELEMENTS_MAX : source.remaining)) {
        throw new CorruptionError("a stored array is longer than its bytes", "value", 0);
      }
      const values: T[] = [];
      for (let index = 0; index < count; index++) values.push(source.value(element));
      return values;
    },
  };
}

/** A value or undefined. */
export function optional<T>(inner: Serializer<T>): Serializer<T | undefined> {
  return {
    fingerprint: `optional<${inner.fingerprint}>`,
    serialize(value, sink) {
      if (value === undefined) {
        sink.u8(0);
      } else {
        sink.u8(1);
        sink.value(inner, value);
      }
    },
    deserialize(source) {
      const mark = source.u8();
      if (mark > 1) throw new CorruptionError("an optional is marked neither 0 nor 1", "value", 0);
      return mark === 0 ? undefined : source.value(inner);
    },
  };
}
