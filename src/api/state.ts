import type { Serializer } from "./serializer.ts";

/** A key, or a namespace: type-tagged, so 1, "1" and 1n differ; -0 equals 0; NaN is refused. */
export type Key = string | number | bigint | Uint8Array;

export interface StateDescriptor {
  /** 1 to 256 characters; its 32-bit hash is part of every stored row. */
  readonly name: string;
  /**
   * Whether rows also have a namespace (windows, for example). If so, `setCurrentNamespace` comes
   * before each access. Part of the format.
   * @defaultValue false
   */
  readonly namespaces?: boolean | undefined;
  /**
   * `false`: the state is in no checkpoint and no savepoint, and never reaches a disk. It begins empty
   * with each open, and has to fit the memory budget, of which such states together take an even share
   * beside the write buffer. For caches and what can be computed again.
   * @defaultValue true
   */
  readonly checkpointed?: boolean | undefined;
}

export interface ValueStateDescriptor<T> extends StateDescriptor {
  readonly value: Serializer<T>;
}
export interface ListStateDescriptor<T> extends StateDescriptor {
  readonly element: Serializer<T>;
}
export interface MapStateDescriptor<K, V> extends StateDescriptor {
  readonly key: Serializer<K>;
  readonly value: Serializer<V>;
}
export interface ReducingStateDescriptor<T> extends StateDescriptor {
  readonly value: Serializer<T>;
  /** Combines two values into one; associative. May change and return `accumulated`. */
  readonly reduce: (accumulated: T, value: T) => T;
}
export interface AggregateFunction<In, Accumulator, Out> {
  createAccumulator(): Accumulator;
  /** The accumulator with the value added. May change and return the one it was given. */
  add(accumulator: Accumulator, value: In): Accumulator;
  getResult(accumulator: Accumulator): Out;
  /** Both accumulators as one; for `mergeNamespaces`. */
  merge(a: Accumulator, b: Accumulator): Accumulator;
}
export interface AggregatingStateDescriptor<In, Accumulator, Out> extends StateDescriptor {
  readonly accumulator: Serializer<Accumulator>;
  readonly aggregate: AggregateFunction<In, Accumulator, Out>;
}

/** What all kinds of state share. Every access is about the current key (and namespace). */
export interface State {
  readonly name: string;
  /** Namespace of the accesses that follow. Only for states declared with `namespaces: true`. */
  setCurrentNamespace(namespace: Key): void;
  /** Removes what the current key has in this state. */
  clear(): void;
  /**
   * Keys that have something in this state (in `namespace`, if it has namespaces), as of the moment
   * of the call. In no particular order; each once.
   *
   * An enumeration holds on to that moment, on disk for the lsm backend, until it is exhausted or
   * returned (`for await` does both) or the backend closes. Eight are open at a time: one more ends
   * the one that was not read for the longest, and reading that one then throws ClosedError.
   */
  keys(namespace?: Key): AsyncIterableIterator<Key>;
}

export interface ValueState<T> extends State {
  /** The value, or undefined. It belongs to the caller: a mutation counts only after `update`. */
  value(): T | undefined;
  /** Replaces the value. Refuses undefined: use `clear`. */
  update(value: T): void;
}

export interface ListState<T> extends State {
  /** All elements in order; empty if there are none. The array belongs to the caller. */
  get(): T[];
  /** Appends without reading what is there. */
  add(element: T): void;
  addAll(elements: Iterable<T>): void;
  /** Replaces all elements; an empty list clears. */
  update(elements: Iterable<T>): void;
  isEmpty(): boolean;
  /** Appends the lists of `sources` to that of `target` and clears them. */
  mergeNamespaces(target: Key, sources: Iterable<Key>): void;
}

export interface MapState<K, V> extends State {
  get(key: K): V | undefined;
  /** Refuses an undefined value: use `remove`. */
  put(key: K, value: V): void;
  putAll(entries: Iterable<readonly [K, V]>): void;
  remove(key: K): void;
  contains(key: K): boolean;
  isEmpty(): boolean;
  /**
   * Entries ordered by serialized key. Each entry present throughout comes exactly once, also when
   * the map is changed meanwhile; the current one may be removed. Ends with the current key.
   */
  entries(): IterableIterator<[K, V]>;
  mapKeys(): IterableIterator<K>;
  values(): IterableIterator<V>;
  [Symbol.iterator](): IterableIterator<[K, V]>;
}

export interface ReducingState<T> extends State {
  get(): T | undefined;
  add(value: T): void;
  mergeNamespaces(target: Key, sources: Iterable<Key>): void;
}

export interface AggregatingState<In, Out> extends State {
  get(): Out | undefined;
  add(value: In): void;
  mergeNamespaces(target: Key, sources: Iterable<Key>): void;
}
