// What a conversion is to do, checked against the checkpoint before anything is made.
//   P1. Every state of the checkpoint is kept, changed or left out; names that it does not have are
//       refused, and so are names that would mean two states.
//   P2. With another number of key groups every key may go anywhere: all old groups must be there.
import type { KeyGroupRange, SavepointFormat, StateSchema } from "../api/keyed-state-backend.ts";
import { KEY_GROUPS_MAX } from "../common/key-group.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { IncompatibleSerializerError, InvalidArgumentError } from "../errors.ts";
import { stateIdOf } from "../format/key-codec.ts";
import type { BackendKind } from "../format/metadata.ts";
import { EntryDecoder } from "./entry-decoder.ts";
import { type AnySerializer, type FingerprintOptions, FingerprintReader } from "./fingerprint.ts";
import type { OpenCheckpoint } from "./open-checkpoint.ts";
import {
  type StateChange,
  type StateChanges,
  StateConverter,
  requireStored,
  serializersOf,
} from "./state-change.ts";

const STATE_NAME_LENGTH_MAX = 256;

/** What becomes of a state. */
export interface PlannedState {
  readonly isDropped: boolean;
  /** Its id from now on. */
  readonly newId: number;
  /** If its rows are written anew. */
  readonly converter: StateConverter | undefined;
}

export interface ConversionPlan {
  readonly format: SavepointFormat;
  /** Whose files they are, if native; else who wrote the source. */
  readonly backendKind: BackendKind;
  readonly keyGroups: KeyGroupRange;
  /** By the ids that rows have in the source. */
  readonly states: ReadonlyMap<number, PlannedState>;
  /** Those of the result. */
  readonly schemas: readonly StateSchema[];
  readonly changeNumber: number;
  /** Whether rows come in another order than that of the source. */
  readonly isReordered: boolean;
}

export interface PlanRequest extends FingerprintOptions {
  readonly format: SavepointFormat;
  readonly backend?: BackendKind | undefined;
  readonly keyGroups?: number | undefined;
  readonly states?: StateChanges | undefined;
}

export function planConversion(view: OpenCheckpoint, request: PlanRequest): ConversionPlan {
  const { format, backend } = request;
  if (format !== "canonical" && format !== "native") {
    throw new InvalidArgumentError(
      `convert: format is "canonical" or "native", got ${JSON.stringify(format)}`,
    );
  }
  if (backend !== undefined && backend !== "lsm" && backend !== "memory") {
    throw new InvalidArgumentError(
      `convert: backend is "lsm" or "memory", got ${JSON.stringify(backend)}`,
    );
  }
  if (format === "canonical" && backend !== undefined) {
    throw new InvalidArgumentError("convert: canonical rows are for every backend: name none");
  }
  const keyGroups = keyGroupsOf(view, request.keyGroups);
  const { planned, schemas, isRenamed } = planStates(view, request);
  const isRegrouped = keyGroups.max !== view.parts[0]!.handle.keyGroups.max;
  return {
    format,
    backendKind: backend ?? view.metadata.backendKind,
    keyGroups,
    states: planned,
    schemas,
    changeNumber: Math.max(...view.parts.map(({ handle }) => handle.changeNumber)),
    isReordered: isRegrouped || isRenamed,
  };
}

/** The key groups of the result, which are one range. */
function keyGroupsOf({ parts }: OpenCheckpoint, wanted: number | undefined): KeyGroupRange {
  const { max, first } = parts[0]!.handle.keyGroups; // Parts are sorted by them.
  let last = first - 1;
  for (const { handle } of parts) {
    if (handle.keyGroups.first !== last + 1) {
      throw new InvalidArgumentError(
        `convert: the checkpoint has a gap in its key groups: ${last + 1} to ${handle.keyGroups.first - 1} are in none of its handles`,
      );
    }
    last = handle.keyGroups.last;
  }
  if (wanted === undefined || wanted === max) return { max, first, last };
  if (!Number.isSafeInteger(wanted) || wanted < 1 || wanted > KEY_GROUPS_MAX) {
    throw new InvalidArgumentError(
      `convert: keyGroups is an integer from 1 to ${KEY_GROUPS_MAX}, got ${String(wanted)}`,
    );
  }
  if (first === 0 && last === max - 1) return { max: wanted, first: 0, last: wanted - 1 };
  throw new InvalidArgumentError(
    `convert: another number of key groups needs all ${max}, and the checkpoint has ${first}-${last}`, // P2
  );
}

function planStates(view: OpenCheckpoint, request: PlanRequest) {
  const changes = request.states ?? {};
  if (typeof changes !== "object" || changes === null) {
    throw new InvalidArgumentError("convert: states is an object of changes by the states' names");
  }
  const stored = storedSchemas(view);
  for (const name of Object.keys(changes)) {
    if (stored.has(name)) continue;
    const names = [...stored.keys()].map((one) => JSON.stringify(one)).join(", ");
    throw new InvalidArgumentError(
      `convert: checkpoint ${view.checkpointId} has no state ${JSON.stringify(name)}; it has ${names || "none"}`,
    );
  }
  const planned = new Map<number, PlannedState>();
  const schemas: StateSchema[] = [];
  let isRenamed = false;
  for (const schema of stored.values()) {
    const change = Object.hasOwn(changes, schema.name) ? changes[schema.name] : undefined;
    const { state, result } = planState(schema, change, request);
    planned.set(schema.id, state);
    if (result === undefined) continue;
    schemas.push(result);
    isRenamed ||= result.id !== schema.id;
  }
  requireDistinct(schemas);
  return { planned, schemas, isRenamed };
}

/** By name. The handles must agree, as for a restore. */
function storedSchemas({ parts }: OpenCheckpoint): Map<string, StateSchema> {
  const stored = new Map<string, StateSchema>();
  for (const schema of parts.flatMap(({ handle }) => handle.states)) {
    const known = stored.get(schema.name);
    if (known === undefined) stored.set(schema.name, schema);
    else if (describe(known) !== describe(schema)) {
      throw new IncompatibleSerializerError(schema.name, describe(known), describe(schema));
    }
  }
  return stored;
}

function describe({ type, serializers, namespaces }: StateSchema): string {
  return `${type}<${serializers.join(", ")}>${namespaces ? " with namespaces" : ""}`;
}

function planState(
  schema: StateSchema,
  change: StateChange | undefined,
  request: PlanRequest,
): { readonly state: PlannedState; readonly result: StateSchema | undefined } {
  const kept = { isDropped: false, newId: schema.id, converter: undefined };
  if (change === undefined) return { state: kept, result: schema };
  checkChange(schema, change);
  if (change.drop === true) return { state: { ...kept, isDropped: true }, result: undefined };
  const name = newNameOf(schema, change);
  const result = { ...schema, name, id: stateIdOf(name) };
  const isRewritten =
    change.to !== undefined || change.map !== undefined || change.mapKey !== undefined;
  if (!isRewritten) {
    requireStored(schema, serializersOf(schema, change.from, "from"));
    return { state: { ...kept, newId: result.id }, result };
  }
  const { converter, serializers } = converterOf(schema, change, request);
  return { state: { ...kept, newId: result.id, converter }, result: { ...result, serializers } };
}

function checkChange(schema: StateSchema, change: StateChange): void {
  const { name, type } = schema;
  if (typeof change !== "object" || change === null) {
    throw new InvalidArgumentError(`convert: the change of state "${name}" is an object`);
  }
  const what = `convert: state "${name}"`;
  refuseUnknownOptions(what, change, ["drop", "rename", "from", "to", "map", "mapKey"]);
  for (const option of ["map", "mapKey"] as const) {
    if (change[option] === undefined || typeof change[option] === "function") continue;
    throw new InvalidArgumentError(`${what}: ${option} must be a function`);
  }
  if (change.mapKey !== undefined && type !== "map") {
    throw new InvalidArgumentError(`${what}: mapKey is for maps, and this is a ${type} state`);
  }
  if (change.drop !== undefined && typeof change.drop !== "boolean") {
    throw new InvalidArgumentError(`${what}: drop must be true or false`);
  }
  const others = Object.entries(change).some(([option, value]) => {
    return option !== "drop" && value !== undefined;
  });
  if (change.drop === true && others) {
    throw new InvalidArgumentError(`${what} is left out: nothing else can be said of it`);
  }
}

function newNameOf({ name }: StateSchema, { rename }: StateChange): string {
  if (rename === undefined) return name;
  const isName =
    typeof rename === "string" &&
    rename.length >= 1 &&
    rename.length <= STATE_NAME_LENGTH_MAX &&
    rename.isWellFormed();
  if (isName) return rename;
  throw new InvalidArgumentError(
    `convert: the new name of state "${name}" is a string of 1 to ${STATE_NAME_LENGTH_MAX} characters`,
  );
}

function converterOf(schema: StateSchema, change: StateChange, request: PlanRequest) {
  const from = serializersOf(schema, change.from, "from");
  requireStored(schema, from);
  const given = from.filter((one) => one !== undefined);
  const serializers = [...given, ...(request.serializers ?? [])];
  const reader = new FingerprintReader({ serializers, trustV8: request.trustV8 });
  const decoder = new EntryDecoder(schema, reader);
  if (!decoder.isDecodable) {
    throw new InvalidArgumentError(
      `convert: state "${schema.name}" was written as ${describe(schema)}, which is not known: give its serializers as from`,
    );
  }
  const to = serializersOf(schema, change.to, "to").map((serializer, index): AnySerializer => {
    return serializer ?? from[index] ?? reader.read(schema.serializers[index]!)!;
  });
  const converter = new StateConverter(schema, decoder, to, change);
  return { converter, serializers: to.map(({ fingerprint }) => fingerprint) };
}

/** P1 */
function requireDistinct(schemas: readonly StateSchema[]): void {
  const names = new Map<number, string>();
  for (const { id, name } of schemas) {
    const other = names.get(id);
    if (other !== undefined) {
      const what = other === name ? "have one name" : "have names of the same 32-bit hash";
      throw new InvalidArgumentError(
        `convert: states "${other}" and "${name}" would ${what}: rename another way`,
      );
    }
    names.set(id, name);
  }
}
