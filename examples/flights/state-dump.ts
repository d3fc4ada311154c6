// Writes every row of every state as text, one file a state, for the verification to read. Lines are
// the key, a tab, and the value's integers separated by commas. Keys come from the backend itself, so
// a key too many shows as well as one too few.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { WriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Key, KeyedStateBackend, State } from "../../src/index.ts";
import type { FlightStates } from "./flight-states.ts";
import type { DumpedState } from "./job-messages.ts";

/** Characters written at a time. */
const CHUNK_CHARACTERS = 262_144;

/** Key group, state id, part, key tag; terminator of a string key; header of the row. */
const ROW_FIXED_BYTES = 8 + 2 + 1;
const INTEGER_BYTES = 8;

/** The value of the current key as integers. */
type Reader = () => readonly number[];

/** Yields each state once its file is complete. */
export async function* dumpStates(
  backend: KeyedStateBackend,
  states: FlightStates,
  directory: string,
): AsyncGenerator<DumpedState, void, void> {
  await mkdir(directory, { recursive: true });
  for (const [state, read] of readers(states)) {
    yield await dumpState(backend, state, read, directory);
  }
}

function readers(states: FlightStates): readonly (readonly [State, Reader])[] {
  return [
    [states.seen, () => [states.seen.value()!]],
    [states.routeDay, () => Object.values(states.routeDay.value()!)],
    [states.route, () => Object.values(states.route.value()!)],
    [states.histogram, () => [...states.histogram].flat()],
    [states.worstDelays, () => states.worstDelays.get().flatMap((worst) => Object.values(worst))],
    [states.airportTotals, () => Object.values(states.airportTotals.get()!)],
    [states.airportMiles, () => [states.airportMiles.get()!]],
  ];
}

async function dumpState(
  backend: KeyedStateBackend,
  state: State,
  read: Reader,
  directory: string,
): Promise<DumpedState> {
  const stream = createWriteStream(dumpPath(directory, state.name), { flags: "wx" });
  let keys = 0;
  let bytes = 0;
  let text = "";
  for await (const key of state.keys()) {
    if (backend.needsDrain) await backend.drained();
    const integers = backend.withKey(key, read);
    keys++;
    bytes += ROW_FIXED_BYTES + lengthOf(key) + integers.length * INTEGER_BYTES;
    text += `${String(key)}\t${integers.join(",")}\n`;
    if (text.length >= CHUNK_CHARACTERS) {
      await write(stream, text);
      text = "";
    }
  }
  await write(stream, text);
  stream.end();
  await once(stream, "close");
  return { name: state.name, keys, bytes };
}

export function dumpPath(directory: string, state: string): string {
  return join(directory, `${state}.tsv`);
}

/** All keys of the job are ASCII strings. */
function lengthOf(key: Key): number {
  if (typeof key !== "string") throw new Error(`a key is not a string: ${String(key)}`);
  return key.length;
}

async function write(stream: WriteStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, "drain");
}
