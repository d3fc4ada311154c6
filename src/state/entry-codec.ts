// Keys and values of a map state: into the sinks of the backend, and from the arena. Hot.
import type { Serializer } from "../api/serializer.ts";
import { InvalidArgumentError } from "../errors.ts";
import { KEY_PAYLOAD_BYTES_MAX } from "../format/key-codec.ts";
import type { EntryPosition } from "../format/map-row.ts";
import { wrongLength } from "./byte-sink.ts";
import { type FixedCodec, fixedCodecOf, orderedCodecOf } from "./fixed-codec.ts";
import type { StateHost } from "./state-core.ts";

export class EntryCodec<K, V> {
  private readonly _host: StateHost;
  private readonly _name: string;
  private readonly _key: Pick<Serializer<K>, "serialize" | "deserialize">;
  private readonly _value: Serializer<V>;
  private readonly _fixedKey: FixedCodec | undefined;
  private readonly _fixedValue: FixedCodec | undefined;

  constructor(host: StateHost, name: string, key: Serializer<K>, value: Serializer<V>) {
    this._host = host;
    this._name = name;
    this._key = key.ordered ?? key;
    this._value = value;
    this._fixedKey = orderedCodecOf(key as Serializer<unknown>);
    this._fixedValue = fixedCodecOf(value as Serializer<unknown>);
  }

  /** Into `keySink`. */
  writeKey(key: K): void {
    const { keySink } = this._host;
    const codec = this._fixedKey;
    if (codec !== undefined) {
      codec.write(keySink.view, 0, key);
      keySink.length = codec.bytes;
      return;
    }
    keySink.reset();
    this._key.serialize(key, keySink);
    if (keySink.length > KEY_PAYLOAD_BYTES_MAX) {
      throw new InvalidArgumentError(
        `a map key of state "${this._name}" takes ${keySink.length} bytes; the limit is ${KEY_PAYLOAD_BYTES_MAX}`,
      );
    }
  }

  /** Into `sink`. */
  writeValue(value: V): void {
    const { sink } = this._host;
    const codec = this._fixedValue;
    if (codec !== undefined) {
      codec.write(sink.view, 0, value);
      sink.length = codec.bytes;
      return;
    }
    sink.reset();
    this._value.serialize(value, sink);
    const { fixedBytes, fingerprint } = this._value;
    if (fixedBytes !== undefined && fixedBytes !== sink.length) throw wrongLength(fingerprint);
  }

  /** Of an entry in the arena. */
  readKey({ keyOffset, keyBytes }: EntryPosition): K {
    const { buffer, source } = this._host;
    const codec = this._fixedKey;
    if (codec !== undefined && keyBytes === codec.bytes) {
      return codec.read(buffer.view, keyOffset) as K;
    }
    return this._key.deserialize(source.seek(keyOffset, keyBytes));
  }

  readValue({ valueOffset, valueBytes }: EntryPosition): V {
    const { buffer, source } = this._host;
    const codec = this._fixedValue;
    if (codec !== undefined && valueBytes === codec.bytes) {
      return codec.read(buffer.view, valueOffset) as V;
    }
    return this._value.deserialize(source.seek(valueOffset, valueBytes));
  }
}
