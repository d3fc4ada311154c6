// C4 and C5: bytes of log, and of the LSM, beside a log of every change.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { varintBytes, writeVarint } from "../../src/common/varint.ts";
import { FRAME_HEADER_BYTES, FRAME_RAW_BYTES_MAX } from "../../src/format/frame.ts";
import { type KeyedStateBackend, MIB, f64 } from "../../src/index.ts";
import { loadCodec } from "../../src/workers/codec.ts";
import { type Report, progress } from "../support/command.ts";
import { mean, spreadOf } from "../support/statistics.ts";
import { zipfNumbers } from "../support/sequences.ts";
import { Counters, counterKeyBytes, counterValueBytes } from "./counters.ts";
import { changelogOf, openBackend } from "./subject.ts";

const askedZipf = 0.12;
const askedWindows = 0.05;
const zipfKeys = 1_000_000;
const zipfUpdates = 10_000_000;
const theta = 0.99;

/** A change in a frame: kind, then each piece with its length, as changelog segments have it. */
function changeBytes(keyBytes: number, valueBytes?: number): number {
  const value = valueBytes === undefined ? 0 : varintBytes(valueBytes) + valueBytes;
  return 1 + varintBytes(keyBytes) + keyBytes + value;
}

const counterChangeBytes = changeBytes(counterKeyBytes, counterValueBytes);

export async function measureZipfLog(
  report: Report,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const directory = join(scratch, "zipf");
  const updates = isQuick ? zipfUpdates / 2 : zipfUpdates;
  const counters = await Counters.open(directory, zipfKeys, {
    policy: "changelog",
    memoryBudgetBytes: 256 * MIB,
  });
  const { backend } = counters;
  const bytesOf: number[] = [];
  const rowsOf: number[] = [];
  let everyLz4 = Number.NaN;
  try {
    progress("C4: drawing");
    const keys = zipfNumbers(zipfKeys, updates, theta, 47);
    for (let checkpoint = 0; checkpoint < (isQuick ? 1 : 5); checkpoint++) {
      progress(`C4: checkpoint ${checkpoint + 1}`);
      const before = changelogOf(backend);
      await incrementAll(counters, keys);
      await backend.checkpoint();
      const after = changelogOf(backend);
      bytesOf.push(after.appendedBytes - before.appendedBytes);
      rowsOf.push(after.appendedRows - before.appendedRows);
    }
    progress("C4: compressing every change");
    everyLz4 = compressedBytesOfAll(keys);
  } finally {
    await backend.close();
  }
  const every = updates * counterChangeBytes;
  const shares = spreadOf(bytesOf.map((bytes) => bytes / every));
  report.measure({
    id: "C4",
    name: "log bytes / an encoding of every change, uncompressed; zipf 0.99",
    value: shares.median,
    asked: `<= ${askedZipf}`,
    ok: shares.median <= askedZipf,
    unit: "ratio",
    floor: every,
    ratio: shares.median,
    spread: shares,
    details: {
      keys: zipfKeys,
      updatesPerCheckpoint: updates,
      checkpoints: bytesOf.length,
      loggedBytes: mean(bytesOf),
      loggedRows: mean(rowsOf),
      everyChangeLz4Bytes: everyLz4,
      ratioOfLz4: mean(bytesOf) / everyLz4,
    },
  });
  await rm(directory, { recursive: true });
}

async function incrementAll(counters: Counters, keys: Int32Array): Promise<void> {
  const { backend } = counters;
  for (let at = 0; at < keys.length;) {
    const stop = Math.min(keys.length, at + 2048);
    while (at < stop) counters.increment(keys[at++]!);
    if (backend.needsDrain) await backend.drained();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Bytes of frames that hold each change on its own, in the order in which they were made. */
function compressedBytesOfAll(keys: Int32Array): number {
  const codec = loadCodec();
  const counts = new Float64Array(zipfKeys);
  const raw = new Uint8Array(FRAME_RAW_BYTES_MAX);
  const target = new Uint8Array(FRAME_RAW_BYTES_MAX);
  const view = new DataView(raw.buffer);
  let at = 0;
  let total = 0;
  const flush = (): void => {
    const blockBytes = codec.compress(raw.subarray(0, at), target);
    total += FRAME_HEADER_BYTES + (blockBytes === 0 ? at : blockBytes);
    at = 0;
  };
  for (const key of keys) {
    if (at + counterChangeBytes > raw.length) flush();
    raw[at++] = 1;
    at = writeVarint(raw, at, counterKeyBytes);
    view.setUint16(at, key & 127); // About as random as the key group.
    view.setUint32(at + 2, 0x5ca1ab1e);
    view.setUint16(at + 6, 0x10);
    view.setFloat64(at + 8, key);
    at = writeVarint(raw, at + counterKeyBytes, counterValueBytes);
    raw[at] = 1;
    view.setFloat64(at + 1, ++counts[key]!, true);
    at += counterValueBytes;
  }
  flush();
  return total;
}

const windowsAtOnce = 2000;
const updatesPerWindow = 10;
/** Row key of a number and a namespace that is one. */
const windowKeyBytes = 25;

export async function measureWindowLog(
  report: Report,
  isQuick: boolean,
  scratch: string,
): Promise<void> {
  const directory = join(scratch, "windows");
  await mkdir(directory);
  const backend = await openBackend(directory, "latest-or-new", {
    policy: "changelog",
    memoryBudgetBytes: 64 * MIB,
  });
  const shares: number[] = [];
  const windows = windowsAtOnce * (isQuick ? 20 : 100);
  const every =
    windows *
    ((1 + updatesPerWindow) * changeBytes(windowKeyBytes, counterValueBytes) +
      changeBytes(windowKeyBytes));
  let logged = 0;
  let drained = 0;
  try {
    await backend.checkpoint();
    for (let interval = 0; interval < (isQuick ? 3 : 10); interval++) {
      progress(`C5: interval ${interval + 1}`);
      const before = bytesWritten(backend);
      for (let done = 0; done < windows; done += windowsAtOnce) {
        await liveAndDie(backend, interval, done);
      }
      await backend.checkpoint();
      const after = bytesWritten(backend);
      logged += after.logged - before.logged;
      drained += after.drained - before.drained;
      shares.push((after.logged - before.logged + after.drained - before.drained) / every);
    }
  } finally {
    await backend.close();
  }
  const spread = spreadOf(shares);
  report.measure({
    id: "C5",
    name: "tumbling windows: bytes of log and LSM / an encoding of every change",
    value: spread.median,
    asked: `<= ${askedWindows}`,
    ok: spread.max <= askedWindows,
    unit: "ratio",
    floor: every,
    ratio: spread.median,
    spread,
    details: {
      windowsPerCheckpoint: windows,
      checkpoints: shares.length,
      loggedBytes: logged / shares.length,
      lsmBytes: drained / shares.length,
    },
  });
  await rm(directory, { recursive: true });
}

function bytesWritten(backend: KeyedStateBackend): { logged: number; drained: number } {
  const { drainedBytes } = backend.stats();
  return { logged: changelogOf(backend).appendedBytes, drained: drainedBytes };
}

/** Windows of so many keys: read, created, updated round and round, cleared. */
async function liveAndDie(
  backend: KeyedStateBackend,
  window: number,
  firstKey: number,
): Promise<void> {
  const state = backend.valueState({ name: "window", value: f64, namespaces: true });
  state.setCurrentNamespace(window);
  for (let round = 0; round <= updatesPerWindow; round++) {
    for (let key = firstKey; key < firstKey + windowsAtOnce; key++) {
      backend.setCurrentKey(key);
      state.update((state.value() ?? 0) + 1);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (backend.needsDrain) await backend.drained();
  }
  for (let key = firstKey; key < firstKey + windowsAtOnce; key++) {
    backend.setCurrentKey(key);
    if (state.value() !== updatesPerWindow + 1) throw new Error("an update is lost");
    state.clear();
  }
}
