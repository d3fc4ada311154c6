// The rows of a checkpoint as a conversion wants them: those of states that stay as they are byte for
// byte, those of changed states written anew, those of dropped states not at all.
//   R1. Every row is looked at: its state is one that the metadata names, its key group is that of its
//       key and of its handle.
//   R2. A list or map goes as a whole: its rows keep key, namespace and numbers, so that all of them
//       get the same new key group.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { fileName } from "../checkpoint/layout.ts";
import { CorruptionError } from "../errors.ts";
import { PART_OFFSET, RowPart, STATE_ID_OFFSET } from "../format/key-codec.ts";
import { checkRowHeader } from "../format/row-value.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { BasePart } from "./base-part.ts";
import type { ConversionPlan, PlannedState } from "./conversion-plan.ts";
import type { OpenCheckpoint } from "./open-checkpoint.ts";
import type { StateRecord } from "./record-reader.ts";
import type { RowSorter } from "./row-sorter.ts";
import type { RowTarget } from "./row-target.ts";
import type { StateConverter } from "./state-change.ts";

const NODE_NUMBER_BYTES = 4;

export interface ConversionOutput {
  readonly target: RowTarget;
  /** For rows that come in an order of their own. */
  readonly newSorter: () => RowSorter;
  /** After each batch; throws to stop. */
  readonly onKeyGroup: (keyGroup: number) => void;
}

/** Puts all rows of the view into the target. */
export async function convertRows(
  view: OpenCheckpoint,
  plan: ConversionPlan,
  output: ConversionOutput,
): Promise<void> {
  for (const part of view.parts) await new PartConversion(view, part, plan, output).run();
}

class PartConversion {
  readonly #view: OpenCheckpoint;
  readonly #part: BasePart;
  readonly #plan: ConversionPlan;
  readonly #output: ConversionOutput;
  readonly #source: string;
  readonly #addresses: RowAddresses;
  /** The last changed state whose records were written, and of which key group. */
  #written: { readonly stateId: number; readonly keyGroup: number } | undefined;

  constructor(
    view: OpenCheckpoint,
    part: BasePart,
    plan: ConversionPlan,
    output: ConversionOutput,
  ) {
    this.#view = view;
    this.#part = part;
    this.#plan = plan;
    this.#output = output;
    const { keyGroups, states, base } = part.handle;
    this.#source = fileName(base.fileList.id);
    this.#addresses = new RowAddresses(keyGroups, states);
  }

  async run(): Promise<void> {
    const rows = await this.#view.guard(() => this.#part.rows());
    const { target, onKeyGroup } = this.#output;
    const all = { gte: new Uint8Array(0), lt: undefined };
    for await (const batch of this.#view.guarded(rows.rows(all))) {
      for (const { key, row } of batch) {
        const address = this.#addresses.select(key, this.#source);
        const state = this.#check(key, row);
        if (state.isDropped) continue;
        if (state.converter !== undefined) {
          await this.#convertOnce(key, state, state.converter);
          continue;
        }
        this.#readdress(address, state);
        if (!target.fits(address.length, row.length)) await target.makeRoom();
        target.copy(address.u8, address.length, row, 0, row.length);
      }
      onKeyGroup(groupOf(batch.at(-1)!.key));
    }
  }

  /** R1. Of the row that is selected. */
  #check(key: Uint8Array, row: Uint8Array): PlannedState {
    const { max } = this.#part.handle.keyGroups;
    if (keyGroupOf(this.#addresses.keyHash, max) !== groupOf(key)) {
      const message = "a row is of another key group than its key";
      throw new CorruptionError(message, this.#source, 0);
    }
    checkRowHeader(row);
    return this.#plan.states.get(stateIdOf(key))!;
  }

  /** Gives the selected row its new key group and state. */
  #readdress({ u8 }: ReturnType<RowAddresses["select"]>, { newId }: PlannedState): void {
    this.#addresses.regroup(this.#plan.keyGroups.max);
    u8[STATE_ID_OFFSET] = newId >>> 24;
    u8[STATE_ID_OFFSET + 1] = newId >>> 16;
    u8[STATE_ID_OFFSET + 2] = newId >>> 8;
    u8[STATE_ID_OFFSET + 3] = newId;
  }

  async #put(
    key: Uint8Array,
    row: Uint8Array,
    state: PlannedState,
    target: RowTarget,
  ): Promise<void> {
    const address = this.#addresses.select(key, this.#source);
    this.#readdress(address, state);
    if (!target.fits(address.length, row.length)) await target.makeRoom();
    target.copy(address.u8, address.length, row, 0, row.length);
  }

  /** The state's records of a key group are written where its first row comes. */
  async #convertOnce(
    key: Uint8Array,
    state: PlannedState,
    converter: StateConverter,
  ): Promise<void> {
    const [stateId, keyGroup] = [stateIdOf(key), groupOf(key)];
    if (this.#written?.stateId === stateId && this.#written.keyGroup === keyGroup) return;
    this.#written = { stateId, keyGroup };
    const { schema } = converter;
    // Nodes are after all roots: they wait in a sorter, for they may be many.
    let nodes: RowSorter | undefined;
    for await (const records of this.#view.records(this.#part, schema, keyGroup)) {
      for (const record of records) {
        nodes = await this.#writeRecord(record, state, converter, nodes);
      }
    }
    if (nodes === undefined) return;
    const { target } = this.#output;
    for await (const rows of nodes.sorted()) {
      for (const { key: nodeKey, row } of rows) {
        if (!target.fits(nodeKey.length, row.length)) await target.makeRoom();
        target.copy(nodeKey, nodeKey.length, row, 0, row.length);
      }
    }
  }

  async #writeRecord(
    record: StateRecord,
    state: PlannedState,
    converter: StateConverter,
    nodes: RowSorter | undefined,
  ): Promise<RowSorter | undefined> {
    const { rootKey } = record;
    const changed = converter.rows(record, this.#part.handle.changeNumber);
    await this.#put(rootKey, changed.root, state, this.#output.target);
    if (changed.nodes.length === 0) return nodes;
    const waiting = nodes ?? this.#output.newSorter();
    const nodeKey = new Uint8Array(rootKey.length + NODE_NUMBER_BYTES);
    nodeKey.set(rootKey);
    nodeKey[PART_OFFSET] = RowPart.node;
    const view = new DataView(nodeKey.buffer);
    for (const [number, row] of changed.nodes.entries()) {
      view.setUint32(rootKey.length, number);
      await this.#put(nodeKey, row, state, waiting);
    }
    return waiting;
  }
}

function groupOf(key: Uint8Array): number {
  return key[0]! * 256 + key[1]!;
}

function stateIdOf(key: Uint8Array): StateSchema["id"] {
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(STATE_ID_OFFSET);
}
