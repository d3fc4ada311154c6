import { CheckpointNotFoundError, StateBackendError } from "../../errors.ts";
import { type ListedCheckpoint, listCheckpoints } from "../../inspect/index.ts";
import { type Command, Exit } from "../command.ts";
import { bytesText, durationText, nameText, tableLines } from "../text.ts";

const header = [
  "ID",
  "CREATED",
  "AFTER",
  "TOOK",
  "KIND",
  "SIZE",
  "LOG",
  "RECOVERY",
  "NEW",
  "SHARED",
  "ONLY",
  "FILES",
  "STATES",
];
const rightAligned = [0, 2, 3, 5, 6, 7, 8, 9, 10, 11];

export const ls: Command = {
  name: "ls",
  parameters: ["DIRECTORY"],
  summary: "Lists the retained checkpoints, the newest first.",
  help: `
AFTER is the time since the checkpoint before it, TOOK from its trigger until its metadata was written.
LOG are bytes of SIZE that a restore replays: changes after the base. RECOVERY is what the writer expected a restore to take.
NEW and SHARED are bytes that the checkpoint before it does not have, and has. ONLY is in no other retained checkpoint: what deleting this one gives back.
Exit code 1 if one of them cannot be read.
`,
  options: {},
  async run({ positionals, terminal }) {
    const [directory] = positionals as [string];
    const { checkpoints, damaged } = await listCheckpoints(directory);
    if (checkpoints.length === 0 && damaged.length === 0) {
      throw new CheckpointNotFoundError(`there is no checkpoint in ${directory}`);
    }
    if (terminal.isJson) {
      for (const checkpoint of checkpoints) await terminal.line(JSON.stringify(jsonOf(checkpoint)));
    } else {
      const rows = [header, ...checkpoints.map(rowOf)];
      const [first, ...rest] = tableLines(rows, rightAligned);
      await terminal.line(terminal.colour("bold", first!));
      for (const line of rest) await terminal.line(line);
    }
    for (const { completionNumber, location, error } of damaged) {
      const code = error instanceof StateBackendError ? error.code : "";
      await terminal.result(
        { completionNumber, location, error: { code, message: error.message } },
        terminal.colour("red", `damaged: ${location}: ${code} ${error.message}`),
      );
    }
    return damaged.length === 0 ? Exit.fine : Exit.found;
  },
};

function jsonOf({ createdAtMs, ...rest }: ListedCheckpoint): object {
  return { ...rest, createdAt: new Date(createdAtMs).toISOString() };
}

function rowOf(checkpoint: ListedCheckpoint): string[] {
  const { checkpointId, createdAtMs, sincePreviousMs, durationMs, backend, policy, states } =
    checkpoint;
  const { isPinned, logBytes, segmentCount, estimatedRecoveryMs } = checkpoint;
  const { totalBytes, newBytes, sharedBytes, uniqueBytes, fileCount } = checkpoint;
  return [
    String(checkpointId),
    new Date(createdAtMs).toISOString(),
    sincePreviousMs === undefined ? "-" : durationText(sincePreviousMs),
    durationMs === undefined ? "-" : durationText(durationMs),
    `${backend} ${policy}${isPinned ? " pinned" : ""}`,
    bytesText(totalBytes),
    segmentCount === 0 ? "-" : bytesText(logBytes),
    estimatedRecoveryMs === undefined ? "-" : durationText(estimatedRecoveryMs),
    newBytes === undefined ? "-" : bytesText(newBytes),
    sharedBytes === undefined ? "-" : bytesText(sharedBytes),
    bytesText(uniqueBytes),
    String(fileCount),
    states.map(nameText).join(" "),
  ];
}
