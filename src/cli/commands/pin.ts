import { pinCheckpoint, unpinCheckpoint } from "../../inspect/index.ts";
import { integer } from "../arguments.ts";
import { type Command, Exit } from "../command.ts";

const options = { id: { type: "string" } } as const;

export const pin: Command = {
  name: "pin",
  parameters: ["DIRECTORY"],
  summary: "Keeps a checkpoint from being deleted, also while the job runs.",
  help: `
  --id ID  which checkpoint (default: the newest)

DIRECTORY is the storage, or the path of one checkpoint's metadata. The pin stands in the storage, and holds
through restarts of the job until varve unpin.
`,
  options,
  async run({ positionals, values, terminal }) {
    const [directory] = positionals as [string];
    const pinned = await pinCheckpoint(directory, { checkpointId: integer(values, "id") });
    await terminal.result(pinned, `checkpoint ${pinned.checkpointId} is pinned`);
    return Exit.fine;
  },
};

export const unpin: Command = {
  name: "unpin",
  parameters: ["DIRECTORY"],
  summary: "Leaves a pinned checkpoint to the job's retention again.",
  help: `
  --id ID  which checkpoint (default: the newest)

The job deletes it after its next checkpoint, unless it is among those that it retains.
`,
  options,
  async run({ positionals, values, terminal }) {
    const [directory] = positionals as [string];
    const unpinned = await unpinCheckpoint(directory, { checkpointId: integer(values, "id") });
    await terminal.result(unpinned, `checkpoint ${unpinned.checkpointId} is not pinned any more`);
    return Exit.fine;
  },
};
