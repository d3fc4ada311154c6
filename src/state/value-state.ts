import type { ValueState } from "../api/state.ts";
import { ValueRowState } from "./value-row.ts";

export class BufferedValueState<T> extends ValueRowState<T> implements ValueState<T> {
  value(): T | undefined {
    return this.read();
  }

  update(value: T): void {
    this.write(value);
  }
}
