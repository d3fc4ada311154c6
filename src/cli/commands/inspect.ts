import { type CheckpointTiming, timingOf } from "../../inspect/index.ts";
import type { CheckpointView, KeyGroupStatistics } from "../../inspect/index.ts";
import { listCheckpoints, openCheckpoint } from "../../inspect/index.ts";
import { segmentsOf } from "../../inspect/checkpoint-files.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";
import { openOptions, optionsForOpening } from "../arguments.ts";
import { bytesText, durationText, groupsText, nameText, share, tableLines } from "../text.ts";

export const inspect: Command = {
  name: "inspect",
  parameters: ["DIRECTORY"],
  summary:
    "Shows what a checkpoint consists of: states, rows and bytes, files and who shares them.",
  help: `
  --id ID        which checkpoint (default: the newest)
  --no-rows      do not count rows and look into the log, which reads everything
  --key-groups   rows and bytes of each state in each key group
  --files        every file: key groups, level, and the retained checkpoints that have it
`,
  options: {
    ...openOptions,
    "no-rows": { type: "boolean" },
    "key-groups": { type: "boolean" },
    files: { type: "boolean" },
  },
  async run(call) {
    const [directory] = call.positionals as [string];
    const view = await openCheckpoint(directory, optionsForOpening(call.values));
    try {
      await summary(view, call);
      const counts = call.values["no-rows"] === true ? undefined : await count(view, call);
      if (call.values["no-rows"] !== true) await logs(view, call);
      await states(view, counts, call);
      if (counts !== undefined && call.values["key-groups"] === true) await groups(counts, call);
      if (call.values["files"] === true) await files(view, call);
    } finally {
      await view.close();
    }
    return Exit.fine;
  },
};

async function summary(view: CheckpointView, call: CommandCall): Promise<void> {
  const { metadata, storage } = view;
  const { checkpointId, completionNumber, createdAtMs, policy, backendKind, handles } = metadata;
  const totalBytes = handles.reduce((sum, { base }) => sum + base.totalBytes, 0);
  const fileCount = handles.reduce((sum, { base }) => sum + base.fileCount, 0);
  const segments = segmentsOf(handles.map((handle) => ({ handle })));
  const logBytes = segments.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const timing = timingOf(metadata);
  const createdAt = new Date(createdAtMs).toISOString();
  const { writerEpoch, userMetadata } = metadata;
  const keyGroups = handles.map((handle) => handle.keyGroups);
  const record = {
    checkpointId,
    completionNumber,
    createdAt,
    backend: backendKind,
    policy,
    writerEpoch,
    keyGroups,
    changeNumbers: handles.map(({ changeNumber }) => changeNumber),
    totalBytes,
    fileCount,
    logBytes,
    segmentCount: segments.length,
    timing,
    userMetadata,
  };
  const { terminal } = call;
  await terminal.result(
    { checkpoint: record },
    [
      terminal.colour("bold", `checkpoint ${checkpointId} of ${storage.description}`),
      `created      ${createdAt}, the ${completionNumber}. that completed, owner ${writerEpoch.number}`,
      `kind         ${backendKind} ${policy}`,
      `key groups   ${keyGroups.map(groupsText).join(", ")} of ${keyGroups[0]!.max}`,
      `size         ${bytesText(totalBytes)} in ${fileCount} files`,
      `log          ${segments.length === 0 ? "none" : `${bytesText(logBytes)} in ${segments.length} segments`}`,
      `logged       ${loggedText(timing)}`,
      `took         ${timing === undefined ? "unknown" : timingText(timing)}`,
      `recovery     ${timing?.recoveryMs === undefined ? "unknown" : `about ${durationText(timing.recoveryMs)}, by what its writer measured`}`,
      `metadata     ${userMetadata === undefined ? "none" : JSON.stringify(userMetadata)}`,
    ].join("\n"),
  );
}

function loggedText({ logged, isMaterializing }: Partial<CheckpointTiming> = {}): string {
  if (logged === undefined) return "unknown";
  const { bytes, rawBytes } = logged;
  const base = isMaterializing === true ? "; a new base was being made" : "";
  return `${bytesText(bytes)} for it, of ${bytesText(rawBytes)} of rows${base}`;
}

function timingText({ durationMs, pauseMs, phases }: CheckpointTiming): string {
  const all = Object.entries(phases ?? {}).map(([name, ms]: [string, number]) => {
    return `${name.replace("Ms", "")} ${durationText(ms)}`;
  });
  return [`${durationText(durationMs)}, paused ${durationText(pauseMs)}`, ...all].join(", ");
}

/** What a restore replays. */
async function logs(view: CheckpointView, { terminal }: CommandCall): Promise<void> {
  const table = [["LOG OF", "AFTER", "UP TO", "SEGMENTS", "BYTES", "BATCHES", "ROWS", "RAW"]];
  for (const log of await view.logs()) {
    if (terminal.isJson) await terminal.line(JSON.stringify({ log }));
    table.push([
      groupsText(log.keyGroups),
      ...[log.baseChangeNumber, log.changeNumber, log.segmentCount].map(String),
      bytesText(log.logBytes),
      ...[log.batchCount, log.rowCount].map(String),
      bytesText(log.rawBytes),
    ]);
  }
  if (terminal.isJson || table.length === 1) return;
  const [first, ...rest] = tableLines(table, [1, 2, 3, 4, 5, 6, 7]);
  await terminal.line(`\n${terminal.colour("bold", first!)}`);
  for (const line of rest) await terminal.line(line);
}

async function count(
  view: CheckpointView,
  { terminal }: CommandCall,
): Promise<readonly KeyGroupStatistics[]> {
  const all: KeyGroupStatistics[] = [];
  let rows = 0;
  let before = -1;
  const ranges = view.metadata.handles.map(({ keyGroups }) => keyGroups);
  const total = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  let groupsBegun = 0;
  for await (const part of view.statistics()) {
    all.push(part);
    rows += part.rows;
    if (part.keyGroup !== before) groupsBegun++;
    before = part.keyGroup;
    terminal.progress(`${share(groupsBegun, total)} of the key groups, ${rows} rows`);
  }
  return all;
}

async function states(
  view: CheckpointView,
  counts: readonly KeyGroupStatistics[] | undefined,
  { terminal }: CommandCall,
): Promise<void> {
  const table = [["STATE", "TYPE", "SERIALIZERS", "KEYS", "ROWS", "BYTES"]];
  for (const { name, type, serializers, namespaces, isDecodable, id } of view.states()) {
    const own = counts?.filter(({ stateId }) => stateId === id);
    const sum = (field: "keys" | "rows" | "bytes"): number | undefined =>
      own?.reduce((total, one) => total + one[field], 0);
    const [keys, rows, bytes] = [sum("keys"), sum("rows"), sum("bytes")];
    if (terminal.isJson) {
      const record = { name, id, type, serializers, namespaces, isDecodable, keys, rows, bytes };
      await terminal.line(JSON.stringify({ state: record }));
      continue;
    }
    const kind = namespaces ? `${type}, namespaces` : type;
    const marked = isDecodable ? serializers.join(", ") : `${serializers.join(", ")} (unknown)`;
    const figures = [keys, rows].map((figure) => (figure === undefined ? "-" : String(figure)));
    const size = bytes === undefined ? "-" : bytesText(bytes);
    table.push([nameText(name), kind, marked, ...figures, size]);
  }
  const unnamed = counts?.filter(({ state }) => state === undefined) ?? [];
  if (unnamed.length > 0) {
    terminal.note(
      `${unnamed.length} key groups have rows of a state that the metadata does not name`,
    );
  }
  if (terminal.isJson) return;
  const [first, ...rest] = tableLines(table, [3, 4, 5]);
  await terminal.line(`\n${terminal.colour("bold", first!)}`);
  for (const line of rest) await terminal.line(line);
}

async function groups(
  counts: readonly KeyGroupStatistics[],
  { terminal }: CommandCall,
): Promise<void> {
  const table = [["GROUP", "KEYS", "ROWS", "BYTES", "STATE"]];
  for (const one of counts) {
    const { keyGroup, stateId, state, keys, rows, bytes } = one;
    if (terminal.isJson) await terminal.line(JSON.stringify({ keyGroup: one }));
    const name = state === undefined ? `#${stateId}` : nameText(state);
    table.push([String(keyGroup), String(keys), String(rows), bytesText(bytes), name]);
  }
  if (terminal.isJson) return;
  const [first, ...rest] = tableLines(table, [0, 1, 2, 3]);
  await terminal.line(`\n${terminal.colour("bold", first!)}`);
  for (const line of rest) await terminal.line(line);
}

async function files(view: CheckpointView, { terminal }: CommandCall): Promise<void> {
  const listed = await view.files();
  const { users } = await listCheckpoints(view.storage);
  const table = [["FILE", "KIND", "SIZE", "GROUPS", "LEVEL", "CHECKPOINTS"]];
  for (const file of listed) {
    const sharedBy = users.get(file.id) ?? [view.checkpointId];
    if (terminal.isJson) await terminal.line(JSON.stringify({ file: { ...file, sharedBy } }));
    table.push([
      file.id,
      file.kind,
      bytesText(file.lengthBytes),
      groupsText(file.keyGroups),
      file.level === undefined ? "-" : String(file.level),
      sharedBy.join(" "),
    ]);
  }
  if (terminal.isJson) return;
  const [first, ...rest] = tableLines(table, [2]);
  await terminal.line(`\n${terminal.colour("bold", first!)}`);
  for (const line of rest) await terminal.line(line);
}
