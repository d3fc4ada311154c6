// The states of one backend: made once per name, checked against what a restored checkpoint says.
//   S1. A state that was restored and is not used by the job is carried on to the next checkpoint,
//       if the job has allowed that by name; else no checkpoint is taken.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Serializer } from "../api/serializer.ts";
import type { Key, StateDescriptor } from "../api/state.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { IncompatibleSerializerError, InvalidArgumentError } from "../errors.ts";
import { stateIdOf } from "../format/key-codec.ts";
import type { RowKey } from "../memory/row-key.ts";
import type { KeyContext } from "../state/key-context.ts";
import { RowAddress } from "../state/row-address.ts";
import type { BufferedState } from "../state/state-core.ts";

export const STATE_NAME_LENGTH_MAX = 256;
const FINGERPRINT_LENGTH_MAX = 1024;

/** A row to prefetch, and how to address it again. */
export interface PrefetchTarget {
  readonly bytes: Uint8Array;
  select(): RowKey;
}

export class StateCatalog {
  readonly #schemas = new Map<string, StateSchema>();
  readonly #names = new Map<number, string>();
  readonly #allowed: readonly string[] | true;
  readonly #states = new Map<
    string,
    { readonly state: BufferedState; readonly isCheckpointed: boolean }
  >();

  constructor(restored: readonly StateSchema[], allowed: readonly string[] | true = true) {
    this.#allowed = allowed;
    for (const schema of restored) {
      this.#schemas.set(schema.name, schema);
      this.#names.set(schema.id, schema.name);
    }
  }

  /** Of all states that checkpoints hold. */
  schemas(): readonly StateSchema[] {
    return [...this.#schemas.values()].filter(({ name }) => this.#isCheckpointed(name));
  }

  #isCheckpointed(name: string): boolean {
    return this.#states.get(name)?.isCheckpointed ?? true;
  }

  /** S1. Before anything is cut: by then a job has declared the states that it knows. */
  refuseUndeclared(): void {
    const allowed = this.#allowed;
    if (allowed === true) return;
    const names = [...this.#schemas.keys()].filter(
      (name) => !this.#states.has(name) && !allowed.includes(name),
    );
    if (names.length === 0) return;
    const list = names.map((name) => JSON.stringify(name)).join(", ");
    throw new InvalidArgumentError(
      `the restored checkpoint has states that the job has not declared: ${list}: declare them before the first checkpoint, or name them in allowNonRestoredState to carry them on unread`,
    );
  }

  /** The state of this name: the one made before, or one made by `make` now. */
  obtain<S extends BufferedState>(
    type: StateSchema["type"],
    descriptor: StateDescriptor,
    parts: Readonly<Record<string, unknown>>,
    make: (schema: StateSchema) => S,
  ): S {
    const schema = this.#describe(type, descriptor, parts);
    const known = this.#schemas.get(schema.name);
    if (known !== undefined) checkSame(known, schema);
    const isCheckpointed = descriptor.checkpointed !== false;
    if (known !== undefined && this.#isCheckpointed(schema.name) !== isCheckpointed) {
      throw new InvalidArgumentError(
        `state "${schema.name}" is ${isCheckpointed ? "not checkpointed" : "in checkpoints"}: it cannot be both, use another name`,
      );
    }
    const made = this.#states.get(schema.name);
    if (made !== undefined) return made.state as S;
    const other = this.#names.get(schema.id);
    if (other !== undefined && other !== schema.name) {
      throw new InvalidArgumentError(
        `the names "${other}" and "${schema.name}" have the same 32-bit hash: rename one of the states`,
      );
    }
    const state = make(schema);
    this.#schemas.set(schema.name, schema);
    this.#names.set(schema.id, schema.name);
    this.#states.set(schema.name, { state, isCheckpointed });
    return state;
  }

  #describe(
    type: StateSchema["type"],
    descriptor: StateDescriptor,
    parts: Readonly<Record<string, unknown>>,
  ): StateSchema {
    if (typeof descriptor !== "object" || descriptor === null) {
      throw new InvalidArgumentError(`a ${type} state takes a descriptor object`);
    }
    const { name, namespaces, checkpointed } = descriptor;
    if (typeof name !== "string" || name.length < 1 || name.length > STATE_NAME_LENGTH_MAX) {
      throw new InvalidArgumentError(
        `a state's name is a string of 1 to ${STATE_NAME_LENGTH_MAX} characters`,
      );
    }
    if (!name.isWellFormed()) throw new InvalidArgumentError("a state's name has a lone surrogate");
    if (namespaces !== undefined && typeof namespaces !== "boolean") {
      throw new InvalidArgumentError(`state "${name}": namespaces must be true or false`);
    }
    if (checkpointed !== undefined && typeof checkpointed !== "boolean") {
      throw new InvalidArgumentError(`state "${name}": checkpointed must be true or false`);
    }
    refuseUnknownOptions(`state "${name}"`, descriptor, [
      "name",
      "namespaces",
      "checkpointed",
      ...Object.keys(parts),
      ...functionNames[type],
    ]);
    const serializers = Object.entries(parts).map(([part, value]) =>
      fingerprintOf(name, part, value),
    );
    return { name, id: stateIdOf(name), type, serializers, namespaces: namespaces === true };
  }

  /** Root rows of the keys in all states without namespaces. */
  prefetchTargets(keys: readonly Key[], context: KeyContext): PrefetchTarget[] {
    const targets: PrefetchTarget[] = [];
    for (const { state, isCheckpointed } of this.#states.values()) {
      const { name, id, namespaces } = state.schema;
      if (namespaces || !isCheckpointed) continue;
      const address = new RowAddress(context, name, id, false);
      for (const key of keys) {
        const select = (): RowKey => {
          context.set(key);
          return address.root();
        };
        targets.push({ bytes: new Uint8Array(select().view()), select });
      }
    }
    return targets;
  }
}

/** The states of several handles. Throws if one name stands for different states. */
export function mergeSchemas(lists: readonly (readonly StateSchema[])[]): StateSchema[] {
  const merged = new Map<string, StateSchema>();
  for (const schema of lists.flat()) {
    const known = merged.get(schema.name);
    if (known === undefined) merged.set(schema.name, schema);
    else checkSame(known, schema);
  }
  return [...merged.values()];
}

const functionNames: Readonly<Record<StateSchema["type"], readonly string[]>> = {
  value: [],
  list: [],
  map: [],
  reducing: ["reduce"],
  aggregating: ["aggregate"],
};

function fingerprintOf(state: string, part: string, value: unknown): string {
  const serializer = value as Serializer<unknown> | null | undefined;
  const isSerializer =
    typeof serializer === "object" &&
    serializer !== null &&
    typeof serializer.serialize === "function" &&
    typeof serializer.deserialize === "function";
  if (!isSerializer) {
    throw new InvalidArgumentError(`state "${state}": ${part} must be a serializer`);
  }
  const { fingerprint } = serializer;
  if (
    typeof fingerprint !== "string" ||
    fingerprint.length < 1 ||
    fingerprint.length > FINGERPRINT_LENGTH_MAX
  ) {
    throw new InvalidArgumentError(
      `state "${state}": the fingerprint of ${part} must have 1 to ${FINGERPRINT_LENGTH_MAX} characters`,
    );
  }
  return fingerprint;
}

function checkSame(was: StateSchema, now: StateSchema): void {
  const [before, after] = [describe(was), describe(now)];
  if (before !== after) throw new IncompatibleSerializerError(now.name, before, after);
}

function describe(schema: StateSchema): string {
  const namespaces = schema.namespaces ? " with namespaces" : "";
  return `${schema.type}<${schema.serializers.join(", ")}>${namespaces}`;
}
