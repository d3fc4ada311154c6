// A job whose state is larger than its memory: restores, compares every row with a model, goes on,
// takes a checkpoint every so many records, and says so. Its parent kills it. With policy "changelog" it
// also says when it begins to make a base.
import assert from "node:assert/strict";
import { join } from "node:path";
import { seededRandom } from "../../src/environment/seeded-random.ts";
import {
  MIB,
  fileSystemStorage,
  i64,
  materializationTracing,
  openKeyedStateBackend,
  u32,
  utf8,
} from "../../src/index.ts";
import type {
  CheckpointPolicy,
  KeyedStateBackend,
  ListState,
  MapState,
  ValueState,
} from "../../src/index.ts";
import { keysOf, namesOf } from "../../src/testing/expect.ts";

const TEXT_KEYS = 14_000;
const TEXT_CHARACTERS = 1500;
/** Bases are made every dozen checkpoints, and several segments between. */
const changelog = {
  segmentBytes: 2 * MIB,
  earlyAppendBytes: MIB / 2,
  materializationLogBytes: 6 * MIB,
};
const MAP_KEYS = 60;
const MAP_ENTRIES = 400;
const LIST_KEYS = 40;

/** What the records up to some offset leave: which record wrote what. */
class Model {
  readonly texts: Map<number, number> = new Map();
  readonly maps: Map<number, Map<number, number>> = new Map();
  readonly lists: Map<number, number[]> = new Map();
}

interface States {
  readonly text: ValueState<string>;
  readonly map: MapState<number, number>;
  readonly list: ListState<number>;
}

interface Record {
  readonly kind: number;
  readonly random: number;
}

/** The record at an offset: the same in every run. */
function recordAt(offset: number): Record {
  let mixed = Math.imul(offset + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed = (mixed ^ (mixed >>> 16)) >>> 0;
  return { kind: mixed % 10, random: Math.floor(mixed / 10) };
}

const random = seededRandom(7);
const pieces = Array.from({ length: 4096 }, () =>
  Array.from({ length: 10 }, () => Math.floor(random() * 36 ** 5).toString(36)).join(""),
);

/** Text that does not get much smaller when compressed block by block. */
function textOf(offset: number): string {
  let state = offset + 1;
  let text = `${offset}:`;
  while (text.length < TEXT_CHARACTERS) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += pieces[state >>> 20]!;
  }
  return text;
}

function apply(offset: number, model: Model): void {
  const { kind, random } = recordAt(offset);
  if (kind < 6) model.texts.set(random % TEXT_KEYS, offset);
  else if (kind === 6) model.texts.delete(random % TEXT_KEYS);
  else if (kind < 9) {
    const key = random % MAP_KEYS;
    const map = model.maps.get(key) ?? new Map<number, number>();
    if (random % 11 === 0) map.delete((random >>> 8) % MAP_ENTRIES);
    else map.set((random >>> 8) % MAP_ENTRIES, offset);
    model.maps.set(key, map);
  } else {
    const key = random % LIST_KEYS;
    model.lists.set(key, random % 50 === 0 ? [] : [...(model.lists.get(key) ?? []), offset]);
  }
}

function perform(offset: number, backend: KeyedStateBackend, states: States): void {
  const { kind, random } = recordAt(offset);
  if (kind < 6) backend.withKey(random % TEXT_KEYS, () => states.text.update(textOf(offset)));
  else if (kind === 6) backend.withKey(random % TEXT_KEYS, () => states.text.clear());
  else if (kind < 9) {
    backend.withKey(random % MAP_KEYS, () => {
      if (random % 11 === 0) states.map.remove((random >>> 8) % MAP_ENTRIES);
      else states.map.put((random >>> 8) % MAP_ENTRIES, offset);
    });
  } else {
    backend.withKey(random % LIST_KEYS, () => {
      if (random % 50 === 0) states.list.clear();
      else states.list.add(offset);
    });
  }
}

async function compare(model: Model, backend: KeyedStateBackend, states: States): Promise<void> {
  for (let key = 0; key < TEXT_KEYS; key++) {
    const offset = model.texts.get(key);
    const found = backend.withKey(key, () => states.text.value());
    if (found !== (offset === undefined ? undefined : textOf(offset))) {
      assert.fail(`text ${key}: ${found?.slice(0, 20)} instead of ${offset}`);
    }
  }
  for (let key = 0; key < MAP_KEYS; key++) {
    const entries = backend.withKey(key, () => [...states.map]);
    const expected = [...(model.maps.get(key) ?? [])].sort(([a], [b]) => a - b);
    assert.deepEqual(entries, expected, `map ${key}`);
  }
  for (let key = 0; key < LIST_KEYS; key++) {
    const elements = backend.withKey(key, () => states.list.get());
    assert.deepEqual(elements, model.lists.get(key) ?? [], `list ${key}`);
  }
  assert.deepEqual(await keysOf(states.text), namesOf([...model.texts.keys()]));
}

const [, , root = "", lastOffset = "", step = "", chosen = "incremental"] = process.argv;
const policy = chosen as CheckpointPolicy;
materializationTracing.subscribe({
  start: () => void process.stdout.write("materializing\n"),
  end: () => undefined,
  asyncStart: () => undefined,
  asyncEnd: () => undefined,
  error: () => undefined,
});
process.stdout.write("opening\n");
const backend = await openKeyedStateBackend({
  workingDirectory: join(root, "work"),
  checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
  restore: "latest-or-new",
  policy,
  ...(policy === "changelog" ? { changelog } : {}),
  memoryBudgetBytes: 16 * MIB,
});
const states: States = {
  text: backend.valueState({ name: "text", value: utf8 }),
  map: backend.mapState({ name: "map", key: u32, value: i64 }),
  list: backend.listState({ name: "list", element: i64 }),
};
const model = new Model();
let offset = (backend.restored?.metadata as { offset: number } | undefined)?.offset ?? 0;
for (let at = 0; at < offset; at++) apply(at, model);
await compare(model, backend, states);
process.stdout.write(`restored ${offset}\n`);
let running: Promise<void> = Promise.resolve();
while (offset < Number(lastOffset)) {
  if (backend.needsDrain) await backend.drained();
  perform(offset++, backend, states);
  if (offset % Number(step) !== 0) continue;
  await running;
  const cut = offset;
  // Not awaited here: records go on while it is written, as in a job.
  running = backend.checkpoint({ offset }).then(({ fileCount, newFileCount }) => {
    const { drains, coldReads, changelog } = backend.stats();
    const { appends = 0, materializations = 0 } = changelog ?? {};
    const reusedFiles = fileCount - newFileCount;
    const progress = { offset: cut, reusedFiles, drains, coldReads, appends, materializations };
    process.stdout.write(`completed ${JSON.stringify(progress)}\n`);
  });
}
await running;
await backend.close();
process.stdout.write("done\n");
