import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { AggregateFunction, AggregatingState, Key } from "../api/state.ts";
import type { StateHost } from "./state-core.ts";
import { ValueRowState } from "./value-row.ts";

export class BufferedAggregatingState<In, Accumulator, Out>
  extends ValueRowState<Accumulator>
  implements AggregatingState<In, Out>
{
  private readonly _aggregate: AggregateFunction<In, Accumulator, Out>;

  constructor(
    host: StateHost,
    schema: StateSchema,
    serializer: Serializer<Accumulator>,
    aggregate: AggregateFunction<In, Accumulator, Out>,
  ) {
    super(host, schema, serializer);
    this._aggregate = aggregate;
  }

  get(): Out | undefined {
    const accumulator = this.read();
    return accumulator === undefined ? undefined : this._aggregate.getResult(accumulator);
  }

  add(value: In): void {
    this.refuseUndefined(value, "add() takes a value");
    const accumulator = this.read() ?? this._aggregate.createAccumulator();
    this.write(this._aggregate.add(accumulator, value));
  }

  mergeNamespaces(target: Key, sources: Iterable<Key>): void {
    let merged: Accumulator | undefined;
    const collect = (): void => {
      const accumulator = this.read();
      if (accumulator === undefined) return;
      merged = merged === undefined ? accumulator : this._aggregate.merge(merged, accumulator);
    };
    this.merge(target, sources, collect, () => {
      if (merged === undefined) return;
      const value = this.read();
      this.write(value === undefined ? merged : this._aggregate.merge(value, merged));
    });
  }
}
