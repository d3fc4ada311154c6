import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key, ReducingState } from "../api/state.ts";
import type { StateHost } from "./state-core.ts";
import { ValueRowState } from "./value-row.ts";

export class BufferedReducingState<T> extends ValueRowState<T> implements ReducingState<T> {
  private readonly _reduce: (accumulated: T, value: T) => T;

  constructor(
    host: StateHost,
    schema: StateSchema,
    serializer: Serializer<T>,
    reduce: (accumulated: T, value: T) => T,
  ) {
    super(host, schema, serializer);
    this._reduce = reduce;
  }

  get(): T | undefined {
    return this.read();
  }

  add(value: T): void {
    this.refuseUndefined(value, "add() takes a value");
    const before = this.read();
    this.write(before === undefined ? value : this._reduce(before, value));
  }

  mergeNamespaces(target: Key, sources: Iterable<Key>): void {
    let merged: T | undefined;
    const collect = (): void => {
      const value = this.read();
      if (value === undefined) return;
      merged = merged === undefined ? value : this._reduce(merged, value);
    };
    this.merge(target, sources, collect, () => {
      if (merged === undefined) return;
      const value = this.read();
      this.write(value === undefined ? merged : this._reduce(value, merged));
    });
  }
}
