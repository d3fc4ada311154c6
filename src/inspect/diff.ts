// What changed between two checkpoints, key by key.
//   D1. Both are read in the order of key groups, states and keys, side by side: memory does not grow
//       with their size.
//   D2. Content is compared, not rows: a list or map that is spread over rows in another way is the
//       same. So nothing has to be decoded to be compared.
//   D3. Where both consist of the same table files, nothing is read.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key } from "../api/state.ts";
import { InvalidArgumentError } from "../errors.ts";
import { RowPart } from "../format/key-codec.ts";
import type { BasePart } from "./base-part.ts";
import type { CheckpointView } from "./checkpoint-view.ts";
import type { EntryDecoder } from "./entry-decoder.ts";
import { type OpenCheckpoint, opened } from "./open-checkpoint.ts";
import { type StateRecord, contentOf } from "./record-reader.ts";
import { ALL_KEYS, type Groups, rangeOf } from "./row-source.ts";

export interface DiffOptions {
  /** Only these states. @defaultValue all */
  readonly states?: readonly string[] | undefined;
  /** Only these key groups, both ends inclusive. @defaultValue all */
  readonly keyGroups?: Groups | undefined;
}

export interface Difference {
  readonly change: "added" | "removed" | "changed";
  readonly state: string;
  readonly keyGroup: number;
  readonly key: Key;
  readonly namespace: Key | undefined;
  /** As in `StoredEntry`; undefined for what was added, or removed. */
  readonly before: unknown;
  readonly after: unknown;
  /** False if a serializer is unknown: what it wrote is given as a Uint8Array. */
  readonly isDecoded: boolean;
}

/** A state of one checkpoint in a key group. */
interface Side {
  readonly view: OpenCheckpoint;
  readonly part: BasePart;
  readonly decoder: EntryDecoder;
}

/** What has to be done to `before` to get `after`. */
export async function* diffCheckpoints(
  before: CheckpointView,
  after: CheckpointView,
  options: DiffOptions = {},
): AsyncGenerator<Difference, void, void> {
  const [old, current] = [opened(before), opened(after)];
  const { max } = before.metadata.handles[0]!.keyGroups;
  const other = after.metadata.handles[0]!.keyGroups.max;
  if (max !== other) {
    throw new InvalidArgumentError(
      `the checkpoints have ${max} and ${other} key groups: they are of different jobs`,
    );
  }
  const names = namesOf(before, after, options);
  const { first = 0, last = max - 1 } = options.keyGroups ?? {};
  for (let group = Math.max(0, first); group <= Math.min(last, max - 1); group++) {
    const left = partOf(old, group);
    const right = partOf(current, group);
    if (left === undefined && right === undefined) continue;
    for (const name of names) {
      const [from, to] = [sideOf(old, left, name), sideOf(current, right, name)];
      if (from === undefined && to === undefined) continue;
      if (await isSameContent(from, to, group)) continue;
      yield* diffState(from, to, group);
    }
  }
}

function namesOf(
  before: CheckpointView,
  after: CheckpointView,
  { states }: DiffOptions,
): readonly string[] {
  const names = new Set([...before.states(), ...after.states()].map(({ name }) => name));
  for (const name of states ?? []) {
    if (names.has(name)) continue;
    throw new InvalidArgumentError(`neither checkpoint has a state ${JSON.stringify(name)}`);
  }
  return [...names].filter((name) => states === undefined || states.includes(name)).sort();
}

function partOf(view: OpenCheckpoint, group: number): BasePart | undefined {
  return view.parts.find(({ handle }) => {
    return handle.keyGroups.first <= group && group <= handle.keyGroups.last;
  });
}

function sideOf(view: OpenCheckpoint, part: BasePart | undefined, name: string): Side | undefined {
  const decoder = part?.decoders.get(name);
  return part === undefined || decoder === undefined ? undefined : { view, part, decoder };
}

/** D3. Only of states that are described alike: the same bytes could mean something else. */
async function isSameContent(
  from: Side | undefined,
  to: Side | undefined,
  group: number,
): Promise<boolean> {
  if (from === undefined || to === undefined || !isSameSchema(from, to)) return false;
  const [left, right] = await Promise.all(
    [from, to].map(({ view, part }) => view.guard(() => part.rows())),
  );
  return [RowPart.root, RowPart.node].every((rowPart) => {
    const range = rangeOf(group, from.decoder.schema, rowPart, ALL_KEYS);
    const content = left!.contentOf(range);
    return content !== undefined && content === right!.contentOf(range);
  });
}

function isSameSchema(from: Side, to: Side): boolean {
  const text = ({ type, namespaces, serializers }: StateSchema): string =>
    JSON.stringify([type, namespaces, serializers]);
  return text(from.decoder.schema) === text(to.decoder.schema);
}

async function* diffState(
  from: Side | undefined,
  to: Side | undefined,
  group: number,
): AsyncGenerator<Difference, void, void> {
  const [left, right] = [new Records(from, group), new Records(to, group)];
  try {
    for (;;) {
      const [a, b] = [await left.current(), await right.current()];
      if (a === undefined && b === undefined) return;
      const order = a === undefined ? 1 : b === undefined ? -1 : compareKeys(a, b);
      if (order !== 0 || !isEqual(a!, b!)) {
        const pair = [order <= 0 ? a : undefined, order >= 0 ? b : undefined] as const;
        yield difference(from, pair[0], to, pair[1]);
      }
      if (order <= 0) left.advance();
      if (order >= 0) right.advance();
    }
  } finally {
    await left.close();
    await right.close();
  }
}

function compareKeys(a: StateRecord, b: StateRecord): number {
  return Buffer.compare(a.rootKey, b.rootKey);
}

function isEqual(a: StateRecord, b: StateRecord): boolean {
  return a.kind === b.kind && Buffer.compare(contentOf(a), contentOf(b)) === 0; // D2
}

function difference(
  from: Side | undefined,
  a: StateRecord | undefined,
  to: Side | undefined,
  b: StateRecord | undefined,
): Difference {
  const before = a === undefined ? undefined : from!.decoder.decode(a);
  const after = b === undefined ? undefined : to!.decoder.decode(b);
  const { state, keyGroup, key, namespace } = (after ?? before)!;
  return {
    change: before === undefined ? "added" : after === undefined ? "removed" : "changed",
    state,
    keyGroup,
    key,
    namespace,
    before: before?.value,
    after: after?.value,
    isDecoded: (before?.isDecoded ?? true) && (after?.isDecoded ?? true),
  };
}

/** The records of a side one by one; none if there is no such state. */
class Records {
  readonly #batches: AsyncGenerator<readonly StateRecord[], void, void> | undefined;
  #batch: readonly StateRecord[] = [];
  #at = 0;

  constructor(side: Side | undefined, group: number) {
    this.#batches = side?.view.records(side.part, side.decoder.schema, group);
  }

  async current(): Promise<StateRecord | undefined> {
    const record = this.#batch[this.#at];
    if (record !== undefined || this.#batches === undefined) return record;
    const { done, value } = await this.#batches.next();
    if (done === true) return undefined;
    this.#batch = value;
    this.#at = 0;
    return value[0];
  }

  advance(): void {
    this.#at++;
  }

  async close(): Promise<void> {
    await this.#batches?.return();
  }
}
